// Asks the browser for a passkey or a security key, and posts what it answers as a
// field of the form (WebAuthn L3 §5.1).
(function () {
  "use strict";

  var form = document.querySelector("form[data-webauthn]");
  var button = form.querySelector("button");
  var problem = document.getElementById("problem"), status = document.getElementById("status");
  var waiting = false;

  function say(what) {
    status.textContent = "";
    problem.textContent = form.getAttribute("data-" + what);
    problem.hidden = false;
  }

  if (!window.PublicKeyCredential || !navigator.credentials) {
    say("unsupported");
    return;
  }

  function bytes(text) {
    var plain = atob(text.replace(/-/g, "+").replace(/_/g, "/"));
    return Uint8Array.from(plain, function (c) { return c.charCodeAt(0); });
  }

  function text(buffer) {
    var plain = String.fromCharCode.apply(null, new Uint8Array(buffer));
    return btoa(plain).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");
  }

  function identified(list) {
    (list || []).forEach(function (one) { one.id = bytes(one.id); });
  }

  function ask() {
    var options = JSON.parse(form.getAttribute("data-webauthn"));
    options.challenge = bytes(options.challenge);
    identified(options.allowCredentials);
    identified(options.excludeCredentials);
    if (!options.user) return navigator.credentials.get({ publicKey: options });
    options.user.id = bytes(options.user.id);
    return navigator.credentials.create({ publicKey: options });
  }

  function send(credential) {
    var response = { clientDataJSON: text(credential.response.clientDataJSON) };
    ["attestationObject", "authenticatorData", "signature", "userHandle"].forEach(function (name) {
      if (credential.response[name]) response[name] = text(credential.response[name]);
    });
    if (credential.response.getTransports) response.transports = credential.response.getTransports();
    form.elements.answer.value = JSON.stringify({
      id: credential.id, rawId: text(credential.rawId), type: credential.type,
      authenticatorAttachment: credential.authenticatorAttachment || undefined,
      clientExtensionResults: {}, response: response
    });
    form.submit();
  }

  function refused(error) {
    waiting = button.disabled = false;
    say(error && error.name === "NotAllowedError" ? "cancelled" : "failed");
  }

  function start() {
    if (waiting) return;
    waiting = button.disabled = problem.hidden = true;
    status.textContent = status.getAttribute("data-waiting");
    try {
      ask().then(send).catch(refused);
    } catch (error) {
      refused(error);
    }
  }

  form.addEventListener("submit", function (event) {
    event.preventDefault();
    start();
  });
  button.hidden = false;
  button.focus();
  if (form.hasAttribute("data-auto")) start();
})();

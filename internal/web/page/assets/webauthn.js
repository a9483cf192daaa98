// Asks the browser for a passkey or a security key, and posts what it answers as a
// field of the form (WebAuthn L3 §5.1).
(function () {
  "use strict";

  var form = document.querySelector("form[data-webauthn]");
  var button = form.querySelector("button");
  var problem = document.getElementById("problem"), status = document.getElementById("status");
  var beside = form.hasAttribute("data-autofill"); // another form comes first
  var waiting = false, inField = null;

  function say(what) {
    status.textContent = "";
    problem.textContent = form.getAttribute("data-" + what);
    problem.hidden = false;
  }

  if (!window.PublicKeyCredential || !navigator.credentials) {
    if (!beside) say("unsupported");
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

  function asked() {
    var options = JSON.parse(form.getAttribute("data-webauthn"));
    options.challenge = bytes(options.challenge);
    identified(options.allowCredentials);
    identified(options.excludeCredentials);
    if (options.user) options.user.id = bytes(options.user.id);
    return options;
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

  // Browsers tell a wish to cancel from a time that is over by nothing but the time.
  function reason(error, took, allowed) {
    switch (error && error.name) {
      case "NotAllowedError":
      case "AbortError": return took < allowed ? "cancelled" : "late";
      case "NotSupportedError":
      case "SecurityError": return "unsupported";
      case "InvalidStateError": return "registered";
    }
    return "failed";
  }

  function start() {
    if (waiting) return;
    waiting = button.disabled = problem.hidden = true;
    status.textContent = status.getAttribute("data-waiting");
    var options = asked(), since = Date.now();
    function refused(error) {
      waiting = button.disabled = false;
      button.textContent = form.getAttribute("data-again");
      say(reason(error, Date.now() - since, options.timeout));
      button.focus();
    }
    if (inField) inField.abort();
    inField = null;
    try {
      (options.user ? navigator.credentials.create({ publicKey: options }) : navigator.credentials.get({ publicKey: options })).then(send).catch(refused);
    } catch (error) {
      refused(error);
    }
  }

  // The browser offers passkeys where the username is typed, too, and says nothing if
  // nobody takes one.
  function offerInField() {
    if (!window.AbortController || !PublicKeyCredential.isConditionalMediationAvailable) return;
    PublicKeyCredential.isConditionalMediationAvailable().then(function (can) {
      if (!can || waiting) return;
      inField = new AbortController();
      navigator.credentials.get({ publicKey: asked(), mediation: "conditional", signal: inField.signal }).then(send).catch(function () {});
    }).catch(function () {});
  }

  form.addEventListener("submit", function (event) {
    event.preventDefault();
    start();
  });
  button.hidden = false;
  if (beside) offerInField();
  else (form.querySelector("input:not([type=hidden])") || button).focus();
  if (form.hasAttribute("data-auto")) start();
})();

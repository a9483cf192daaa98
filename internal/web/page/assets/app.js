// What pages gain from JavaScript; without it everything works but the comfort.
// Plain ECMAScript 5, so that the scripted browsers of test suites run it too.
(function () {
  "use strict";

  function all(selector, f) {
    Array.prototype.forEach.call(document.querySelectorAll(selector), f);
  }

  // The answer goes to the application by itself.
  if (document.querySelector("form[data-post]")) {
    document.forms[0].submit();
    return;
  }

  // A page from the back/forward cache may show what is no longer so. An answer
  // to a POST is asked for anew with GET, not sent again.
  window.addEventListener("pageshow", function (event) {
    if (!event.persisted) return;
    var page = document.querySelector("main").getAttribute("data-page");
    if (page && page !== location.pathname) location.replace(page);
    else location.reload();
  });

  // One press, one answer: a second one would only find that the page is stale.
  all("form", function (form) {
    var sent = false;
    form.addEventListener("submit", function (event) {
      if (sent) event.preventDefault();
      sent = true;
      setTimeout(function () { sent = false; }, 5000);
    });
  });

  // A pasted "123 456" becomes 123456, and the last digit sends it: once, and
  // not on a page that shows an error.
  all("input[data-digits]", function (input) {
    var wanted = Number(input.getAttribute("data-digits"));
    var sends = input.hasAttribute("data-submit");
    function tidy(event) {
      if (event.isComposing) return;
      var value = input.value.normalize ? input.value.normalize("NFKC") : input.value;
      value = value.replace(/\D/g, "");
      if (value !== input.value) input.value = value;
      if (sends && value.length === wanted && input.form.requestSubmit) {
        sends = false;
        input.form.requestSubmit();
      }
    }
    input.addEventListener("input", tidy);
    input.addEventListener("compositionend", tidy);
  });

  all("button[data-show]", function (button) {
    var input = document.getElementById(button.getAttribute("data-show"));
    var show = button.textContent, showLabel = button.getAttribute("aria-label");
    function set(visible) {
      input.type = visible ? "text" : "password";
      button.textContent = visible ? button.getAttribute("data-hide") : show;
      button.setAttribute("aria-label", visible ? button.getAttribute("data-hide-label") : showLabel);
    }
    button.addEventListener("click", function () { set(input.type === "password"); });
    input.form.addEventListener("submit", function () { set(false); });
    button.hidden = false;
  });

  // The recovery codes as text, with a line that says what they are.
  function text(id) {
    var list = document.getElementById(id);
    var lines = Array.prototype.map.call(list.querySelectorAll("code"), function (code) { return code.textContent; });
    return [list.getAttribute("data-heading"), location.host, ""].concat(lines, "").join("\n");
  }

  all("button[data-copy]", function (button) {
    if (!navigator.clipboard) return; // only on https and localhost
    button.addEventListener("click", function () {
      navigator.clipboard.writeText(text(button.getAttribute("data-copy"))).then(function () {
        button.textContent = document.getElementById("status").textContent = button.getAttribute("data-done");
      }, function () {});
    });
    button.hidden = false;
  });

  all("button[data-download]", function (button) {
    if (!window.URL || !URL.createObjectURL) return;
    button.addEventListener("click", function () {
      var url = URL.createObjectURL(new Blob([text(button.getAttribute("data-download"))], { type: "text/plain" }));
      var link = document.createElement("a");
      link.href = url;
      link.download = button.getAttribute("data-file");
      link.click();
      setTimeout(function () { URL.revokeObjectURL(url); }, 10000);
    });
    button.hidden = false;
  });

  all("button[data-print]", function (button) {
    button.addEventListener("click", function () { window.print(); });
    button.hidden = false;
  });
})();

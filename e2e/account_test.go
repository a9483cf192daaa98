package e2e

import "testing"

// TestAccount: somebody looks at the own account, and changes all that can be
// changed, with what a browser is needed for: a passkey and the pages.
func TestAccount(t *testing.T) {
	t.Parallel()
	for _, language := range []string{"ko"} { // which mina prefers
		t.Run(language, func(t *testing.T) {
			t.Parallel()
			d := startDev(t)
			mina := d.user(t, "mina")
			other := newBrowser(t, language)
			other.open(d.Demo + "/login")
			other.password(mina.Login, mina.Password)
			other.mustStatus(other.recovery(mina.RecoveryCodes[0]), 200)

			w := &walk{tab: newBrowser(t, language), titles: map[string]string{}}
			w.plugIn(passkey)
			w.open(d.Issuer + "/")
			w.press("#own-account")
			w.mustStep("login")
			w.mustStatus(w.tab.signIn(mina, d.code(t, "mina")), 200)
			w.mustStep("manage")
			w.look("account-changing")

			w.press("#add-totp")
			w.look("account-add-app")
			w.do(pressed("summary"))
			key := w.textOf("dd code")
			w.mustStatus(w.load(typed("#name", "Tablet"), typed("#code", totp(t, key, 0)), pressed("#enroll")), 200)
			w.mustStep("manage")
			w.mustText("Tablet")
			w.press("#add-webauthn")
			w.look("account-add-passkey")
			w.do(typed("#name", "Laptop"))
			w.mustStatus(w.press("#register"), 200)
			w.mustStep("manage")
			w.mustText("Laptop")
			w.look("account-many")

			w.do(pressed("li:nth-child(3) summary"))
			w.fill("#name-2", "Notebook")
			w.mustStatus(w.press("#rename-2"), 200)
			w.mustText("Notebook")
			w.do(pressed("li:nth-child(1) details:nth-of-type(2) summary"))
			w.mustStatus(w.press("#remove-0"), 200)
			if w.has("#remove-2") {
				w.fatalf("the factor was not removed")
			}

			w.do(pressed(`summary:has(+ form[action$="/codes"])`))
			w.mustStatus(w.press("#codes"), 200)
			w.mustStep("save_codes")
			w.do(pressed("[name=saved]"))
			w.mustStatus(w.press("#continue"), 200)
			w.mustStep("manage")

			w.do(pressed(`summary:has(+ form[action$="/new_password"])`))
			w.fill("#password", "short")
			w.fill("#again", "short")
			w.mustStatus(w.press("#new-password"), 422)
			w.look("account-error")
			w.fill("#password", "another long passphrase")
			w.fill("#again", "another long passphrase")
			w.mustStatus(w.press("#new-password"), 200)
			w.mustStep("manage")
			w.press("#others")
			w.mustStep("manage")
			w.press("#done")
			w.mustBeAt(d.Issuer + "/account")
			w.look("account")
			other.open(d.Issuer + "/account")
			other.mustStep("login")
		})
	}
}

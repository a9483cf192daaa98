package sallyport_test

import (
	"testing"

	"github.com/sallyport-id/sallyport"
)

// TestAttackOptionalWithAnExcludedFactor: where the second factor is optional, whoever
// has one is asked for it. With the password of somebody whose factor the rule does not
// accept, it is not as if there were none.
func TestAttackOptionalWithAnExcludedFactor(t *testing.T) {
	t.Parallel()
	r := under(t, "", sallyport.Rule{Require: "optional", Methods: []string{"webauthn"}})
	b := r.browser()
	b.password(r.mina, b.authorize("web")).mustStep("refuse", 200)
	joons := r.browser()
	joons.password(r.joon, joons.authorize("web")).mustCode() // who has none
}

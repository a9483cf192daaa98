package main

import (
	"cmp"
	"fmt"

	"github.com/sallyport-id/sallyport"
	"github.com/sallyport-id/sallyport/internal/policy"
)

// enrollment is what a first second factor is bound with.
func (s *settings) enrollment() sallyport.Enrollment {
	return cmp.Or(sallyport.Enrollment(s.Enrollment), sallyport.EnrollByInvitation)
}

// readRules are rules that can work with what a first factor is bound with.
func (s *settings) readRules(file string) ([]policy.Rule, error) {
	rules, err := readRules(file)
	if err != nil {
		return nil, err
	}
	return rules, s.enrollment().Check(rules)
}

// toEnroll is what becomes of a sign-in that needs a first second factor.
func toEnroll(by sallyport.Enrollment) string {
	switch by {
	case sallyport.EnrollByInvitation:
		return "refused: it takes an invitation to set up a second factor"
	case sallyport.EnrollByEmail:
		return "asked to confirm the e-mail address, and to set up a second factor"
	}
	return "asked to set up a second factor"
}

// afterPassword tells the operator what somebody can do who was given a password.
func afterPassword(login string, by sallyport.Enrollment) string {
	if by == sallyport.EnrollByInvitation {
		return fmt.Sprintf("%s has a password. To set up a second factor takes a link: sallyport user reset %[1]s --keep-password", login)
	}
	return login + " can sign in now, and is asked to set up a second factor then."
}

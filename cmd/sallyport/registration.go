package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/sallyport-id/sallyport"
)

// words are a list of them.
type words []string

// set takes them from the environment, where quotes may be left out.
func (w *words) set(parts []string) {
	*w = nil
	for _, part := range parts {
		if part = strings.Trim(part, ` "'`); part != "" {
			*w = append(*w, part)
		}
	}
}

// String is the list on one line, as YAML.
func (w words) String() string {
	quoted := make([]string, len(w))
	for i, word := range w {
		quoted[i] = fmt.Sprintf("%q", word)
	}
	return "[" + strings.Join(quoted, ", ") + "]"
}

// checkRegistration says what cannot work, in the words of the file.
func (s *settings) checkRegistration() error {
	switch {
	case s.enrollment() == sallyport.EnrollByEmail && s.SMTPHost == "":
		return errors.New("enrollment: email needs smtp_host")
	case s.Registration && s.SMTPHost == "":
		return errors.New("registration needs smtp_host: an account is made with a code that is mailed")
	case !s.Registration && len(s.RegistrationDomains) > 0:
		return errors.New("registration_domains is of no use without registration: true")
	}
	if err := sallyport.CheckRegistrationDomains(s.RegistrationDomains); err != nil {
		return fmt.Errorf("registration_domains: %w", err)
	}
	return nil
}

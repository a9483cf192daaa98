package store

import "time"

// MailCode is a code that was asked for by mail, in the interaction that it is good
// in. The code itself is kept nowhere: whoever has the key makes it from the mail's
// id, the interaction, what it is for and the address (authn.MailKey).
type MailCode struct {
	// ID is the mail's; "": there is no code that is good, or none any more.
	ID string `json:"id,omitempty"`
	// For is what it is good for, and nothing else.
	For MailKind `json:"for"`
	// UserID is whose it is; "" while there is nobody yet.
	UserID    string    `json:"user,omitempty"`
	Address   string    `json:"address"`
	SentAt    time.Time `json:"sent"` // when it was asked for
	ExpiresAt time.Time `json:"expires"`
	// Guesses counts the answers to it, each before it is checked.
	Guesses int `json:"guesses,omitempty"`
	// Mails counts the codes that were asked for in the interaction, this one
	// included.
	Mails int `json:"mails"`
}

// Void is what is left of a code that is good no more: how many were asked for, and
// when. nil stays nil.
func (c *MailCode) Void() *MailCode {
	if c == nil {
		return nil
	}
	return &MailCode{For: c.For, SentAt: c.SentAt, Mails: c.Mails}
}

// MailCodeUse is all that a right code makes durable.
type MailCodeUse struct {
	Authenticator string // its id
	Address       string // that the code went to
	Proof         AddProof
	Interaction   Interaction // without the code; Version is the one that was read
}

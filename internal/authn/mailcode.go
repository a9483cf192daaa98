package authn

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"fmt"
	"math/big"
	"net/netip"
	"strings"
	"time"

	"github.com/sallyport-id/sallyport/internal/keys"
	"github.com/sallyport-id/sallyport/internal/store"
)

// mailDigits is the number of digits of a mailed code (NIST SP 800-63B-4 §4.2.1.2: at
// least six).
const mailDigits = 8

var mailModulus = big.NewInt(100_000_000)

// MailKey makes the codes that are mailed. It is in no database, and neither are the
// codes: what is stored tells nothing of them without it.
type MailKey []byte

// NewMailKey is the key of an installation, for whoever has its master key.
func NewMailKey(s *keys.Sealer) MailKey { return s.Derive("mail code") }

// Code is the code of a mail: eight digits, a function that only the key's holder
// knows of which mail it is, what for, to whom, and in which interaction. Of 256 bits
// the remainder has no bias that anybody could see.
func (k MailKey) Code(mail string, kind store.MailKind, address, interaction string) string {
	mac := hmac.New(sha256.New, k)
	for _, part := range []string{mail, string(kind), address, interaction} {
		fmt.Fprintf(mac, "%d:%s", len(part), part)
	}
	n := new(big.Int).SetBytes(mac.Sum(nil))
	return fmt.Sprintf("%0*d", mailDigits, n.Mod(n, mailModulus))
}

// Is reports whether what was typed is the interaction's code. That it is still good,
// and that the guess was counted, is the caller's to see to.
func (k MailKey) Is(c store.MailCode, interaction, typed string) bool {
	digits, err := ParseMailCode(typed)
	return err == nil && c.ID != "" && hmac.Equal([]byte(digits), []byte(k.Code(c.ID, c.For, c.Address, interaction)))
}

// FormatMailCode is a code as it is mailed: 1234 5678.
func FormatMailCode(code string) string { return grouped(code, " ") }

// ParseMailCode returns the eight digits that were typed, as ParseCode does.
func ParseMailCode(typed string) (string, error) { return parseDigits(typed, mailDigits) }

// How many codes an hour brings to one address: what its owner needs, of whoever has
// proven the password; and what a stranger may cause.
const (
	limitMails         = 10
	limitMailsStranger = 3
)

// MayMail counts that a code is asked for, and refuses with a *ThrottledError what is
// more than an address should get in an hour. Each kind of code is counted by itself,
// so that strangers cannot use up what its owner needs. With from, which is for
// strangers, the network is counted, too.
func (c *Checker) MayMail(ctx context.Context, kind store.MailKind, address string, from netip.Addr) error {
	of := string(kind) + "\x00" + strings.ToLower(address)
	buckets := []store.Bucket{{Key: c.bucketKey("mail", of), Limit: limitMails, Window: windowAsked}}
	if from.IsValid() {
		buckets[0].Limit = limitMailsStranger
		buckets = append(buckets, store.Bucket{Key: c.bucketKey("mail-address", string(kind)+"\x00"+network(from)), Limit: limitAskedAddress, Window: windowAsked})
	}
	_, err := c.attempt(ctx, buckets)
	return err
}

// CheckMailCode counts a guess against the user's authenticator that gets its codes at
// the address, and returns its id. A *WrongCodeError or a *ThrottledError otherwise.
// Accepting the code, once, is the store's (UseMailCode).
func (c *Checker) CheckMailCode(ctx context.Context, list []store.Authenticator, code store.MailCode, interaction, typed string) (id string, settle store.Settle, err error) {
	for _, a := range usable(list, store.KindEmail) {
		if string(a.Secret) != code.Address || a.UserID != code.UserID {
			continue
		}
		buckets, settle := c.codeBuckets([]store.Authenticator{a}, store.KindEmail)
		verdict, err := c.attempt(ctx, buckets)
		switch {
		case err != nil:
			return "", settle, err
		case !c.MailKey.Is(code, interaction, typed):
			return "", settle, &WrongCodeError{InARow: verdict.Total}
		}
		return a.ID, settle, nil
	}
	return "", settle, ErrCode
}

// MailCodeTTL is how long a mailed code is good (NIST SP 800-63B-4 §3.1.3.2 has ten
// minutes for secrets out of band).
const MailCodeTTL = 10 * time.Minute

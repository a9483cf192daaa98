package authn

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/sallyport-id/sallyport/internal/store"
)

// windowBypass is at least as long as a bypass code lives.
const windowBypass = 24 * time.Hour

// NewBypassCode makes a bypass code, which has the form of a recovery code and is
// stored like one: the hash under a salt of its own. Errors as for Hash.
func (h *Hasher) NewBypassCode(ctx context.Context) (code string, salt, hash []byte, err error) {
	codes, err := NewRecoveryCodes(1)
	if err != nil {
		return "", nil, nil, err
	}
	turn, err := h.Turn(ctx, false)
	if err != nil {
		return "", nil, nil, fmt.Errorf("hash bypass code: %w", err)
	}
	defer turn.End()
	salt = NewSalt()
	return codes[0], salt, turn.HashRecovery(salt, codes[0]), nil
}

// CheckBypass returns the hash of a typed bypass code. Whether it is the one that is
// open, and unused, is the store's to say (UseBypass). Attempts are counted per code.
// ErrCode, ErrBusy or a *ThrottledError otherwise.
func (c *Checker) CheckBypass(ctx context.Context, open *store.BypassCode, code string) (hash []byte, settle store.Settle, err error) {
	if open == nil {
		return nil, settle, errors.New("authn: no bypass code is open")
	}
	turn, err := c.Hasher.Turn(ctx, false)
	if err != nil {
		return nil, settle, err
	}
	defer turn.End()
	bucket := store.Bucket{Key: c.bucketKey("bypass", open.ID), Limit: limitCode, Window: windowBypass, Delays: true}
	settle = store.Settle{Reset: []string{bucket.Key}}
	if _, err := c.attempt(ctx, []store.Bucket{bucket}); err != nil {
		return nil, settle, err
	}
	plain, err := ParseRecoveryCode(code)
	if err != nil {
		return nil, settle, ErrCode
	}
	return turn.HashRecovery(open.Salt, plain), settle, nil
}

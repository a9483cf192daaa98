// Package store says what Sallyport keeps and what it promises about it:
// plain structs for the data, and small interfaces, one a role, whose verbs
// carry the promise. It holds no SQL; sqlstore keeps the promises, storetest
// shows that it does.
//
// A verb takes all that must become durable together. What may happen once is
// one conditional write inside it, never a load, a check and a mark. A caller
// reads, checks and signs first; the verb decides. Its events are recorded with
// it, and only if it succeeds. A caller whose context ends while a verb is under
// way learns ctx.Err() and no more: it may have happened.
//
// Times are kept to the millisecond, in UTC.
package store

import "errors"

// The answers of every role, matched with errors.Is. Any other error of a store
// means that nothing is known about the outcome, and is for the log.
var (
	// ErrNotFound: there is no such thing, or the secret is wrong, or it has
	// expired. The three look the same on purpose.
	ErrNotFound = errors.New("store: not found")
	// ErrUsed: it may happen once, and it has happened.
	ErrUsed = errors.New("store: used")
	// ErrStale: what the caller read has changed since; read again.
	ErrStale = errors.New("store: stale")
	// ErrExists: the unique name is taken.
	ErrExists = errors.New("store: exists")
)

// ErrUnavailable is no answer: the database is away, stalled, full or busy with
// others, and may answer at another time. Like any other error that is none of the
// answers, it says nothing about whether a verb happened.
var ErrUnavailable = errors.New("store: unavailable")

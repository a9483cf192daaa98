package policy

import "context"

// Source gives the rules of the moment. A decision asks it once, so that it sees one
// set of them. After an error nothing may be decided: no policy is known to be strict
// enough.
type Source func(context.Context) (Policy, error)

// Fixed is the source of rules that never change.
func (p Policy) Fixed() Source {
	return func(context.Context) (Policy, error) { return p, nil }
}

package sqlstore

import (
	"encoding/json"
	"fmt"
	"time"
)

// ms is a time as it is kept: Unix milliseconds, 0 for the zero time.
func ms(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

// kept is a time as it will be read: to the millisecond, in UTC.
func kept(t time.Time) time.Time {
	if t.IsZero() {
		return time.Time{}
	}
	return time.UnixMilli(t.UnixMilli()).UTC()
}

// at scans a time that ms made.
type at struct{ *time.Time }

// Scan implements sql.Scanner.
func (a at) Scan(v any) error {
	n, ok := v.(int64)
	if !ok {
		return fmt.Errorf("a time is %T", v)
	}
	*a.Time = time.Time{}
	if n != 0 {
		*a.Time = time.UnixMilli(n).UTC()
	}
	return nil
}

// milliseconds scans a duration.
type milliseconds struct{ *time.Duration }

// Scan implements sql.Scanner.
func (m milliseconds) Scan(v any) error {
	n, ok := v.(int64)
	if !ok {
		return fmt.Errorf("a duration is %T", v)
	}
	*m.Duration = time.Duration(n) * time.Millisecond
	return nil
}

// asJSON is a value as it is kept. Our own structs cannot fail to marshal.
func asJSON(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic("sqlstore: marshal: " + err.Error())
	}
	return string(b)
}

// fromJSON scans what asJSON made; NULL leaves the value as it is.
type fromJSON struct{ into any }

// Scan implements sql.Scanner.
func (j fromJSON) Scan(v any) error {
	switch text := v.(type) {
	case nil:
		return nil
	case string:
		return json.Unmarshal([]byte(text), j.into)
	case []byte:
		return json.Unmarshal(text, j.into)
	}
	return fmt.Errorf("JSON is %T", v)
}

// raw scans JSON that is passed on as it is; "" is nil.
type raw struct{ into *json.RawMessage }

// Scan implements sql.Scanner.
func (r raw) Scan(v any) error {
	text, ok := v.(string)
	if !ok {
		return fmt.Errorf("JSON is %T", v)
	}
	*r.into = nil
	if text != "" {
		*r.into = json.RawMessage(text)
	}
	return nil
}

// bit is a truth value as it is kept.
func bit(b bool) int64 {
	if b {
		return 1
	}
	return 0
}

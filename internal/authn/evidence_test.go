package authn_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/sallyport-id/sallyport/internal/authn"
	"github.com/sallyport-id/sallyport/internal/oidc"
	"github.com/sallyport-id/sallyport/internal/store"
)

var noon = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)

// kind is a proof of the golden tables, with its name there.
type kind struct {
	name  string
	proof store.Proof
}

// kinds are all proofs that there are: those of WebAuthn with every combination of
// what is known of them.
var kinds = allKinds()

func allKinds() []kind {
	list := []kind{
		{"password", store.Proof{Method: store.MethodPassword}},
		{"totp", store.Proof{Method: store.MethodTOTP, Authenticator: "t"}},
		{"code by mail", store.Proof{Method: store.MethodEmail, Authenticator: "e"}},
		{"recovery code", store.Proof{Method: store.MethodRecovery, Authenticator: "r"}},
	}
	for bits := range 16 {
		k := kind{"key", store.Proof{Method: store.MethodWebAuthn, Authenticator: fmt.Sprint("k", bits)}}
		for bit, fact := range []struct {
			name string
			is   *bool
		}{{"UV", &k.proof.UserVerified}, {"synced", &k.proof.BackupEligible}, {"attested", &k.proof.Attested}, {"enrolled here", &k.proof.Bound}} {
			if *fact.is = bits>>bit&1 == 1; *fact.is {
				k.name += ", " + fact.name
			}
		}
		list = append(list, k)
	}
	return list
}

// sets calls do with every set of one or two proofs, the second a minute after the
// first.
func sets(do func(name string, proofs []store.Proof)) {
	at := func(list ...store.Proof) []store.Proof {
		for i := range list {
			list[i].UserID, list[i].Interaction, list[i].At = "u", "i", noon.Add(time.Duration(i)*time.Minute)
		}
		return list
	}
	for i, a := range kinds {
		do(a.name, at(a.proof))
		for _, b := range kinds[i+1:] {
			do(a.name+" + "+b.name, at(a.proof, b.proof))
		}
	}
}

// TestLevelsGolden writes the table that an auditor reads: every set of one or
// two proofs, fresh.
func TestLevelsGolden(t *testing.T) {
	t.Parallel()
	var table bytes.Buffer
	table.WriteString("| proofs | level | acr | amr | auth_time |\n| --- | --- | --- | --- | --- |\n")
	sets(func(name string, proofs []store.Proof) {
		r := authn.Judge(authn.Evidence{UserID: "u", Proofs: proofs, At: noon.Add(2 * time.Minute), Interaction: "i", MailCodes: true})
		which := "first proof"
		if r.AuthTime.After(noon) {
			which = "second proof"
		}
		fmt.Fprintf(&table, "| %s | %d | `%s` | %s | %s |\n", name, r.Level, r.Level.ACR(), strings.Join(r.AMR, " "), which)
	})
	golden(t, "levels.md", table.Bytes())
}

// TestLevelsByAgeGolden writes what is left of each set as it grows old. The ages are
// those of the first proof; the second is a minute younger.
func TestLevelsByAgeGolden(t *testing.T) {
	t.Parallel()
	ages := []time.Duration{2 * time.Minute, 12 * time.Hour, 12*time.Hour + time.Second, 24 * time.Hour, 24*time.Hour + time.Second, 30 * 24 * time.Hour, 30*24*time.Hour + 2*time.Minute}
	var table bytes.Buffer
	table.WriteString("| proofs | 2 min | 12 h | 12 h + 1 s | 24 h | 24 h + 1 s | 30 days | 30 days + 2 min |\n| --- | --- | --- | --- | --- | --- | --- | --- |\n")
	sets(func(name string, proofs []store.Proof) {
		fmt.Fprintf(&table, "| %s |", name)
		for _, age := range ages {
			r := authn.Judge(authn.Evidence{UserID: "u", Proofs: proofs, At: noon.Add(age), Interaction: "i", MailCodes: true})
			fmt.Fprintf(&table, " %d |", r.Level)
		}
		table.WriteString("\n")
	})
	golden(t, "levels_by_age.md", table.Bytes())
}

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if os.Getenv("UPDATE_GOLDEN") != "" {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s differs; UPDATE_GOLDEN=1 rewrites it\ngot:\n%s\nwant:\n%s", path, got, want)
	}
}

func proof(m store.Method, at time.Duration, interaction string) store.Proof {
	p := store.Proof{Method: m, At: noon.Add(at), UserID: "u", Interaction: interaction}
	if m != store.MethodPassword {
		p.Authenticator = string(m)
	}
	return p
}

// TestRule11OneSetOfProofs: level, amr and auth_time come from one set.
func TestRule11OneSetOfProofs(t *testing.T) {
	t.Parallel()
	password, totp, recovery := store.MethodPassword, store.MethodTOTP, store.MethodRecovery
	for name, c := range map[string]struct {
		proofs []store.Proof
		change func(*authn.Evidence)
		level  oidc.Level
		amr    string
		at     time.Duration // of auth_time, from noon
	}{
		"nothing":                   {nil, nil, 0, "", 0},
		"oldest of the pair":        {[]store.Proof{proof(password, 0, "i"), proof(totp, time.Minute, "i")}, nil, 2, "pwd otp mfa", 0},
		"newest of a kind":          {[]store.Proof{proof(password, 0, "i"), proof(password, time.Hour, "i"), proof(totp, 2*time.Minute, "i")}, nil, 2, "pwd otp mfa", 2 * time.Minute},
		"two codes are one factor":  {[]store.Proof{proof(totp, 0, "i"), proof(recovery, time.Minute, "i")}, nil, 1, "otp", time.Minute},
		"another user's":            {[]store.Proof{proof(password, 0, "i"), {Method: totp, At: noon, UserID: "v", Authenticator: "t", Interaction: "i"}}, nil, 1, "pwd", 0},
		"invalid authenticator":     {[]store.Proof{proof(password, 0, "i"), proof(totp, 0, "i")}, func(e *authn.Evidence) { e.Valid = map[string]bool{} }, 1, "pwd", 0},
		"before the cut-off":        {[]store.Proof{proof(password, 0, "i"), proof(totp, time.Minute, "i")}, func(e *authn.Evidence) { e.NotBefore = noon.Add(time.Second) }, 1, "otp", time.Minute},
		"own proofs alone":          {[]store.Proof{proof(password, 0, "old"), proof(totp, time.Minute, "i")}, func(e *authn.Evidence) { e.OwnProofs = true }, 1, "otp", time.Minute},
		"recovery elsewhere":        {[]store.Proof{proof(password, 0, "old"), proof(recovery, 0, "old")}, nil, 1, "pwd", 0},
		"in the future":             {[]store.Proof{proof(password, 25*time.Hour, "i")}, nil, 0, "", 0},
		"two factors of yesterday":  {[]store.Proof{proof(password, -time.Hour, "i"), proof(totp, -time.Hour, "i")}, func(e *authn.Evidence) { e.At = noon.Add(23*time.Hour + time.Millisecond) }, 1, "pwd", -time.Hour},
		"one factor of last month":  {[]store.Proof{proof(password, 0, "i")}, func(e *authn.Evidence) { e.At = noon.Add(31 * 24 * time.Hour) }, 0, "", 0},
		"fresher password, old set": {[]store.Proof{proof(password, 0, "i"), proof(totp, 0, "i"), proof(password, 2*time.Hour, "j")}, nil, 2, "pwd otp mfa", 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := authn.Evidence{UserID: "u", Proofs: c.proofs, At: noon.Add(3 * time.Hour), Interaction: "i"}
			if c.change != nil {
				c.change(&e)
			}
			got := authn.Judge(e)
			if got.Level != c.level || strings.Join(got.AMR, " ") != c.amr {
				t.Errorf("got %v %v, want level %d %s", got.Level, got.AMR, c.level, c.amr)
			}
			if c.level > 0 && !got.AuthTime.Equal(noon.Add(c.at)) {
				t.Errorf("auth_time: got %v, want %v", got.AuthTime, noon.Add(c.at))
			}
		})
	}
}

// TestJudgeProperties: more proofs never lower the level; mfa is in amr exactly
// from level 2 on; what is judged depends on no proof that does not count.
func TestJudgeProperties(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		e := authn.Evidence{UserID: "u", Proofs: drawProofs(t), At: noon, Interaction: "i"}
		all := authn.Judge(e)
		if mfa := strings.Contains(strings.Join(all.AMR, " "), "mfa"); mfa != (all.Level >= oidc.Level2FA) {
			t.Fatalf("amr %v at %v", all.AMR, all.Level)
		}
		if again := authn.Judge(authn.Evidence{UserID: "u", Proofs: e.Counting(), At: noon, Interaction: "i"}); again.Level != all.Level || !again.AuthTime.Equal(all.AuthTime) {
			t.Fatalf("the counting proofs alone: got %v, want %v", again, all)
		}
		if n := len(e.Proofs); n > 0 {
			e.Proofs = e.Proofs[:n-1]
			if fewer := authn.Judge(e); fewer.Level > all.Level {
				t.Fatalf("a proof more lowered %v to %v", fewer.Level, all.Level)
			}
		}
	})
}

func drawProofs(t *rapid.T) []store.Proof {
	var list []store.Proof
	for range rapid.IntRange(0, 5).Draw(t, "n") {
		p := rapid.SampledFrom(kinds).Draw(t, "kind").proof
		p.UserID = rapid.SampledFrom([]string{"u", "u", "u", "v"}).Draw(t, "user")
		p.Interaction = rapid.SampledFrom([]string{"i", "j"}).Draw(t, "interaction")
		p.At = noon.Add(-time.Duration(rapid.IntRange(-1, 40*24).Draw(t, "hours")) * time.Hour)
		list = append(list, p)
	}
	return list
}

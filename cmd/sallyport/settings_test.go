package main

import (
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

func environment(pairs ...string) func(string) (string, bool) {
	return func(name string) (string, bool) {
		for i := 0; i < len(pairs); i += 2 {
			if pairs[i] == name {
				return pairs[i+1], true
			}
		}
		return "", false
	}
}

// TestSettingsErrorsAreForTheOperator: each names the file, the line where there
// is one, and the key.
func TestSettingsErrorsAreForTheOperator(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, text, want string }{
		{"nothing", "", "issuer is missing"},
		{"unknown key", "issuer: https://a.example\n\nlisten_on: :9000\n", `line 3: there is no key "listen_on"`},
		{"two unknown keys", "a: 1\nissuer: https://a.example\nb: 2\n", `line 1: there is no key "a"; line 3: there is no key "b"`},
		{"a key twice", "issuer: https://a.example\nissuer: https://b.example\n", `line 2: mapping key "issuer" already defined at line 1`},
		{"no duration", "issuer: https://a.example\nsession_idle: soon\n", "line 2: `soon` is no duration like 30s, 5m or 24h"},
		{"no truth", "issuer: https://a.example\ninsecure_http_issuer: maybe\n", "line 2: `maybe` is no true or false"},
		{"a group for a value", "issuer:\n  url: https://a.example\n", "line 2: a group of keys is no value for this key"},
		{"no level", "issuer: https://a.example\nlog_level: loud\n", `"loud"`},
		{"a list", "- issuer\n", "line 1: a list is no set of keys and values"},
		{"no YAML", "issuer: [\n", "line 1"},
		{"two documents", "issuer: https://a.example\n---\nissuer: https://b.example\n", "more than one document"},
		{"issuer with a slash", "issuer: https://a.example/\n", "must not end with a slash"},
		{"http issuer", "issuer: http://a.example\n", "must be https, or http on this machine (insecure_http_issuer"},
		{"no issuer at all, insecurely", "issuer: ftp://a.example\ninsecure_http_issuer: true\n", "issuer ftp://a.example must be http"},
		{"listen", "issuer: https://a.example\nlisten: nowhere\n", "listen: address nowhere: missing port"},
		{"private listen", "issuer: https://a.example\nprivate_listen: nowhere\n", "private_listen: address nowhere"},
		{"one address twice", "issuer: https://a.example\nprivate_listen: 127.0.0.1:9000\n", "private_listen must not be"},
		{"half a certificate", "issuer: https://a.example\ntls_key_file: k.pem\n", "go together"},
		{"certificate for http", "issuer: http://localhost\ntls_key_file: k.pem\ntls_certificate_file: c.pem\n", "the issuer is https"},
		{"a rule's requirement", "issuer: https://a.example\npolicy: [{require: some}]\n", `policy: rule 1: require is "some", and must be`},
		{"a rule's key", "issuer: https://a.example\npolicy: [{demand: off}]\n", `there is no key "demand"`},
		{"a rule's networks", "issuer: https://a.example\npolicy: [{networks: [10.0.0.1/8]}]\n", `10.0.0.1/8 is no network`},
		{"no list of rules", "issuer: https://a.example\npolicy: required\n", "is no list of rules"},
		{"a rule's age", "issuer: https://a.example\npolicy: [{max_age: soon}]\n", "is no duration"},
		{"no time", "issuer: https://a.example\nsession_ttl: -1h\n", "must be more than 0"},
		{"keys that rotate too often", "issuer: https://a.example\nkey_rotation: 24h\n", "key_rotation must be at least 96h, or negative for never"},
		{"keys that rotate at once", "issuer: https://a.example\nkey_rotation: 0s\n", "key_rotation must be at least 96h"},
		{"no database", "issuer: https://a.example\ndatabase: \"\"\n", "must not be empty"},
		{"another database", "issuer: https://a.example\ndatabase: mysql://u:s3cret@h/d\n", "database: sqlstore: the URL of the database cannot be read: want postgres://"},
		{"a password for a file", "issuer: https://a.example\ndatabase_password_file: p\n", "database_password_file is for the URL"},
		{"two passwords", "issuer: https://a.example\ndatabase: postgres://u:s3cret@h/d\ndatabase_password_file: p\n", "has a password, and database_password_file"},
		{"two passwords, one as an option", "issuer: https://a.example\ndatabase: postgres://u@h/d?password=s3cret\ndatabase_password_file: p\n", "has a password, and"},
		{"a password for nobody", "issuer: https://a.example\ndatabase: postgres://h/d\ndatabase_password_file: p\n", "names no user"},
		{"no proxy", "issuer: https://a.example\ntrusted_proxies: [10.0.0.1, proxy]\n", `line 2: "proxy" is no address and no network`},
		{"half a network", "issuer: https://a.example\ntrusted_proxies: [10.0.0.1/8]\n", "10.0.0.1/8 is no network: is it 10.0.0.0/8 or 10.0.0.1?"},
		{"everybody", "issuer: https://a.example\ntrusted_proxies: 0.0.0.0/0\n", "0.0.0.0/0 is everybody"},
		{"proxies as a group", "issuer: https://a.example\ntrusted_proxies: {a: b}\n", "a group of keys is no"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "sallyport.yaml")
			if err := os.WriteFile(path, []byte(c.text), 0o600); err != nil {
				t.Fatal(err)
			}
			_, _, err := loadSettings(path, environment())
			if err != nil && strings.Contains(err.Error(), "s3cret") {
				t.Errorf("the password is in the error: %v", err)
			}
			if err == nil || !strings.Contains(err.Error(), c.want) || !strings.HasPrefix(err.Error(), path+": ") {
				t.Errorf("got %v, want %s: … %s", err, path, c.want)
			}
		})
	}
}

// TestSettingsFromFileAndEnvironment: the environment wins; paths start at the
// file.
func TestSettingsFromFileAndEnvironment(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "sallyport.yaml")
	text := "issuer: https://a.example\nsession_idle: 5m\nsession_ttl: 2h\nkey_file: /etc/sallyport/key\nprivate_listen: \"\"\n"
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	s, origins, err := loadSettings(path, environment("SALLYPORT_ISSUER", "http://b.example", "SALLYPORT_SESSION_IDLE", "10m",
		"SALLYPORT_INSECURE_HTTP_ISSUER", "true", "SALLYPORT_LOG_LEVEL", "warn"))
	if err != nil {
		t.Fatal(err)
	}
	want := defaultSettings()
	want.Issuer, want.InsecureHTTPIssuer, want.SessionIdle, want.SessionTTL = "http://b.example", true, 10*time.Minute, 2*time.Hour
	want.Database, want.KeyFile, want.PrivateListen, want.LogLevel = filepath.Join(dir, "sallyport.db"), "/etc/sallyport/key", "", slog.LevelWarn
	if !reflect.DeepEqual(s, want) {
		t.Errorf("got\n%+v, want\n%+v", s, want)
	}
	for key, want := range map[string]string{"issuer": "SALLYPORT_ISSUER", "session_ttl": "file", "listen": "default", "private_listen": "file"} {
		if origins[key] != want {
			t.Errorf("%s is from %q, want %q", key, origins[key], want)
		}
	}
	_, _, err = loadSettings(path, environment("SALLYPORT_SESSION_TTL", "long"))
	if err == nil || !strings.Contains(err.Error(), "environment variable SALLYPORT_SESSION_TTL: ") {
		t.Errorf("got %v, want the variable's name", err)
	}
}

// TestCommentedSettingsAreTheSettings: what init writes reads back as it was.
func TestCommentedSettingsAreTheSettings(t *testing.T) {
	t.Parallel()
	s := defaultSettings()
	s.Issuer, s.Listen, s.SessionTTL = "https://id.example.com/sso", ":443", 90*time.Minute
	s.TrustedProxies = networks{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("::1/128")}
	text := commentedSettings(s)
	got, _, err := parseSettings([]byte(text), environment())
	if err != nil || !reflect.DeepEqual(got, s) {
		t.Errorf("got %+v %v, want %+v", got, err, s)
	}
	uncommented := strings.NewReplacer("# listen: ", "listen: ", "# database: ", "database: ").Replace(text)
	if got, _, err = parseSettings([]byte(uncommented), environment()); err != nil || !reflect.DeepEqual(got, s) {
		t.Errorf("with defaults written out: got %+v %v, want %+v", got, err, s)
	}
}

// TestRulesOfTheDocs: the example of docs/operate/policy.md is one.
func TestRulesOfTheDocs(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../docs/operate/policy.md")
	if err != nil {
		t.Fatal(err)
	}
	_, example, _ := strings.Cut(string(text), "```yaml\n")
	example, _, _ = strings.Cut(example, "```")
	s, _, err := parseSettings([]byte("issuer: https://id.example.com\n"+example), func(string) (string, bool) { return "", false })
	if err == nil {
		err = s.check()
	}
	if err != nil || len(s.Policy) != 4 || s.Policy[3].GraceDays != 14 {
		t.Errorf("got %v, %v", s.Policy, err)
	}
	// What config shows is read again.
	again, _, err := parseSettings([]byte("issuer: https://id.example.com\npolicy: "+s.Policy.String()+"\n"), func(string) (string, bool) { return "", false })
	if err != nil || again.Policy.String() != s.Policy.String() {
		t.Errorf("got %v %v, want %v", again.Policy, err, s.Policy)
	}
}

// TestReferenceIsInTheDocs: docs/operate/configure.md ends with what "config
// --describe" prints. UPDATE_GOLDEN=1 writes it there.
func TestReferenceIsInTheDocs(t *testing.T) {
	t.Parallel()
	var want strings.Builder
	if err := describeSettings(&want); err != nil {
		t.Fatal(err)
	}
	const name, begin = "../../docs/operate/configure.md", "<!-- from here on: sallyport config --describe -->\n\n"
	page, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	head, got, found := strings.Cut(string(page), begin)
	if !found {
		t.Fatalf("%s has no line %q", name, begin)
	}
	if got == want.String() {
		return
	}
	if os.Getenv("UPDATE_GOLDEN") == "" {
		t.Fatalf("%s is not what the types say: run with UPDATE_GOLDEN=1", name)
	}
	if err := os.WriteFile(name, []byte(head+begin+want.String()), 0o644); err != nil {
		t.Fatal(err)
	}
}

// TestEveryKeyIsExplained: in words, for the reference and the file of init.
func TestEveryKeyIsExplained(t *testing.T) {
	t.Parallel()
	s := defaultSettings()
	for _, f := range s.fields() {
		if f.key == "" || len(f.help) < 10 {
			t.Errorf("key %q has help %q", f.key, f.help)
		}
	}
}

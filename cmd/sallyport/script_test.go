package main

import (
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"sallyport": main})
}

// TestScripts runs the manual. Each script has two free addresses, $ADDRESS and
// $PRIVATE, and the commands "ready URL", which waits for a 200, "get URL", whose
// body is stdout, after redirects; it wants a 200, "! get" another answer; "post";
// "await URL TEXT", which waits until the text is in the body, "! await" until it
// is not; "keep NAME MEMBER" and "capture NAME EXPRESSION", which set a variable to a
// member of the JSON in stdout, or to what matches there; "kid ALG", which sets $KID
// to the first of the algorithm in stdout; "application", which starts one that is told of
// logouts.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(env *testscript.Env) error {
			for _, name := range []string{"ADDRESS", "PRIVATE"} {
				l, err := net.Listen("tcp4", "127.0.0.1:0")
				if err != nil {
					return err
				}
				env.Setenv(name, l.Addr().String())
				defer l.Close()
			}
			env.Setenv("SALLYPORT_PRIVATE_LISTEN", env.Getenv("PRIVATE"))
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"ready": scriptReady, "get": scriptGet, "post": scriptPost, "await": scriptAwait,
			"keep": scriptKeep, "capture": scriptCapture, "kid": scriptKid, "metadata": scriptMetadata, "application": scriptApplication,
		},
	})
}

func scriptReady(ts *testscript.TestScript, _ bool, args []string) {
	for range 500 {
		resp, err := http.Get(args[0])
		if err == nil {
			resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return
			}
		}
		time.Sleep(10 * time.Millisecond)
	}
	ts.Fatalf("%s does not become ready", args[0])
}

func scriptAwait(ts *testscript.TestScript, neg bool, args []string) {
	for range 500 {
		resp, err := http.Get(args[0])
		ts.Check(err)
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		ts.Check(err)
		if strings.Contains(string(body), args[1]) != neg {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	ts.Fatalf("%s does not come to have %q, or not to have it", args[0], args[1])
}

func scriptKid(ts *testscript.TestScript, _ bool, args []string) {
	for line := range strings.Lines(ts.ReadFile("stdout")) {
		if fields := strings.Fields(line); len(fields) > 1 && fields[1] == args[0] {
			ts.Setenv("KID", fields[0])
			return
		}
	}
	ts.Fatalf("stdout lists no key of %s", args[0])
}

func scriptGet(ts *testscript.TestScript, neg bool, args []string) {
	jar, err := cookiejar.New(nil)
	ts.Check(err)
	resp, err := (&http.Client{Jar: jar}).Get(args[0])
	ts.Check(err)
	defer resp.Body.Close()
	_, err = io.Copy(ts.Stdout(), resp.Body)
	ts.Check(err)
	if (resp.StatusCode == http.StatusOK) == neg {
		ts.Fatalf("%s: got %d", args[0], resp.StatusCode)
	}
}

// scriptPost posts a form as a client: post URL CLIENT SECRET NAME=VALUE… It wants
// a 200, "! post" another answer.
func scriptPost(ts *testscript.TestScript, neg bool, args []string) {
	form := url.Values{}
	for _, field := range args[3:] {
		name, value, _ := strings.Cut(field, "=")
		form.Add(name, value)
	}
	req, err := http.NewRequest("POST", args[0], strings.NewReader(form.Encode()))
	ts.Check(err)
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.SetBasicAuth(args[1], args[2])
	resp, err := http.DefaultClient.Do(req)
	ts.Check(err)
	defer resp.Body.Close()
	_, err = io.Copy(ts.Stdout(), resp.Body)
	ts.Check(err)
	if (resp.StatusCode == http.StatusOK) == neg {
		ts.Fatalf("%s: got %d", args[0], resp.StatusCode)
	}
}

// scriptKeep puts a member of the JSON that was printed last into a variable.
func scriptKeep(ts *testscript.TestScript, _ bool, args []string) {
	var printed map[string]any
	ts.Check(json.Unmarshal([]byte(ts.ReadFile("stdout")), &printed))
	value, ok := printed[args[1]].(string)
	if !ok {
		ts.Fatalf("no %s was printed", args[1])
	}
	ts.Setenv(args[0], value)
}

// scriptCapture puts what matches in stdout into a variable.
func scriptCapture(ts *testscript.TestScript, _ bool, args []string) {
	found := regexp.MustCompile(args[1]).FindString(ts.ReadFile("stdout"))
	if found == "" {
		ts.Fatalf("stdout has no %s", args[1])
	}
	ts.Setenv(args[0], found)
}

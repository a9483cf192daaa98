package mail

import (
	"embed"
	"fmt"
	"strings"
	"text/template"

	"golang.org/x/text/language"

	"github.com/sallyport-id/sallyport/internal/store"
)

//go:embed texts
var embedded embed.FS

// words are what a text is filled with.
type words struct {
	Login, Server string
	When          string
	Address       string // of the peer; "" for an operator at the command line
	Browser       string // "" if none is known
	ByOperator    bool
	Link          string
	Code          string
	Minutes       int
}

// locales are the languages that mails are written in, the first for whoever reads
// none of them.
var locales = []language.Tag{language.English, language.Korean}

var matcher = language.NewMatcher(locales)

// texts are the templates of each language: "kind.subject" and "kind.text".
var texts = parseTexts()

func parseTexts() map[language.Tag]*template.Template {
	all := map[language.Tag]*template.Template{}
	for _, tag := range locales {
		all[tag] = template.Must(template.New("").Option("missingkey=error").ParseFS(embedded, "texts/"+tag.String()+".tmpl"))
	}
	return all
}

// render writes a mail in the language that is nearest to a user's.
func render(locale string, kind store.MailKind, w words) (subject, text string, err error) {
	_, i, _ := matcher.Match(language.Make(locale))
	t := texts[locales[i]]
	write := func(name string) string {
		var b strings.Builder
		if e := t.ExecuteTemplate(&b, name, w); e != nil && err == nil {
			err = fmt.Errorf("mail: %w", e)
		}
		return strings.TrimSpace(b.String())
	}
	return write(string(kind) + ".subject"), write(string(kind)+".text") + "\n", err
}

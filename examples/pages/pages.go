// Package pages are the words and the looks of the shop, in English and Korean. There
// is nothing about signing in here.
package pages

import (
	_ "embed"
	"html/template"
	"net/http"
	"strings"

	"github.com/sallyport-id/sallyport/examples/orders"
	"github.com/sallyport-id/sallyport/rp"
)

// Page is what a page shows: one of Problem, Refunded, Refund and Session, the first
// that is there, or else the shop's door.
type Page struct {
	Problem  error
	Refunded *orders.Order
	Refund   string // the number of the order to give money back for
	Session  *rp.Session
	Orders   []orders.Order

	Korean bool // set by Show
}

// Reason says why somebody could not be signed in, or served.
func (p Page) Reason() string {
	if rp.ReasonCode(p.Problem) == rp.CodeFailed && !p.Korean {
		return "Something went wrong. Please try again."
	}
	if korean := reasons[rp.ReasonCode(p.Problem)]; p.Korean && korean != "" {
		return korean
	}
	return rp.Reason(p.Problem)
}

// reasons are rp.Reason's sentences in Korean.
var reasons = map[string]string{
	rp.CodeCancelled:   "로그인이 취소되었거나 거부되었습니다.",
	rp.CodeWeak:        "이 애플리케이션은 2단계 인증이 필요합니다.",
	rp.CodeOld:         "로그인한 지 오래되었습니다. 다시 로그인해 주세요.",
	rp.CodeExpired:     "로그인에 시간이 너무 오래 걸렸습니다. 다시 시도해 주세요.",
	rp.CodeLost:        "이 브라우저에서 시작한 로그인이 아니거나 이미 끝난 로그인입니다. 다시 시도해 주세요.",
	rp.CodeInteraction: "확인할 것이 있습니다. 다시 로그인해 주세요.",
	rp.CodeNoSession:   "로그인하지 않았습니다.",
	rp.CodeOtherUser:   "다른 사용자로 로그인했습니다.",
	rp.CodeUnavailable: "로그인 서비스가 응답하지 않습니다. 잠시 후 다시 시도해 주세요.",
	rp.CodeFailed:      "문제가 생겼습니다. 다시 시도해 주세요.",
}

//go:embed shop.html
var text string

var page = template.Must(template.New("shop").Parse(text))

// Show answers with a page: 200, or 403 or 503 with a problem.
func Show(w http.ResponseWriter, r *http.Request, p Page) {
	p.Korean = strings.HasPrefix(strings.ToLower(r.Header.Get("Accept-Language")), "ko")
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'none'; base-uri 'none'")
	switch {
	case rp.ReasonCode(p.Problem) == rp.CodeUnavailable:
		w.WriteHeader(http.StatusServiceUnavailable)
	case p.Problem != nil:
		w.WriteHeader(http.StatusForbidden)
	}
	_ = page.Execute(w, p)
}

// Problem is an rp.Config.ErrorPage.
func Problem(w http.ResponseWriter, r *http.Request, err error) { Show(w, r, Page{Problem: err}) }

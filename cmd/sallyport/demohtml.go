package main

import "github.com/sallyport-id/sallyport/rp"

// koreanReasons are rp.Reason's sentences in Korean.
var koreanReasons = map[string]string{
	rp.CodeCancelled:   "로그인이 취소되었거나 거부되었습니다.",
	rp.CodeWeak:        "이 애플리케이션은 2단계 인증이 필요합니다.",
	rp.CodeOld:         "로그인한 지 오래되었습니다. 다시 로그인해 주세요.",
	rp.CodeExpired:     "로그인에 시간이 너무 오래 걸렸습니다. 다시 시도해 주세요.",
	rp.CodeLost:        "이 브라우저에서 시작한 로그인이 아니거나 이미 끝난 로그인입니다. 다시 시도해 주세요.",
	rp.CodeInteraction: "확인할 것이 있습니다. 다시 로그인해 주세요.",
	rp.CodeUnavailable: "로그인 서비스가 응답하지 않습니다. 잠시 후 다시 시도해 주세요.",
	rp.CodeFailed:      "로그인하지 못했습니다. 다시 시도해 주세요.",
}

// demoHTML is the demo application's one page.
const demoHTML = `<!doctype html>
<html lang="{{if .Korean}}ko{{else}}en{{end}}">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="icon" href="data:,">
<title>Demo</title>
<style>
:root { color-scheme: light dark; font: 1rem/1.6 system-ui, sans-serif }
main { max-width: 34rem; margin: 10vh auto; padding: 0 1rem }
h1 { word-break: keep-all } dt { font-weight: 600 } dd { margin: 0 0 .5rem; overflow-wrap: anywhere }
a, button { display: inline-block; padding: .7rem 1.2rem; border: 1px solid; border-radius: .5rem; font: inherit; color: inherit; background: none; text-decoration: none; cursor: pointer }
.ok { color: light-dark(#0a6b3d, #6fdca4) } .no { color: light-dark(#a3201d, #ff9d96) }
</style>
<main>
{{if .Problem}}
  <h1 class="no">{{if .Korean}}2FA 인증이 실패하였습니다.{{else}}Two-factor authentication did not happen.{{end}}</h1>
  <p id="reason">{{.Reason}}</p>
  <p><a href="/login" id="login">{{if .Korean}}다시 시도{{else}}Try again{{end}}</a></p>
{{else if .Session}}
  <h1 class="ok">{{if .Home}}{{if .Korean}}로그인되어 있습니다.{{else}}You are signed in.{{end}}{{else if .Korean}}2FA 인증이 완료되었습니다.{{else}}Two-factor authentication is complete.{{end}}</h1>
  <dl>
    <dt>{{if .Korean}}사용자{{else}}Who{{end}}</dt><dd id="who">{{or .Session.PreferredUsername .Session.Subject}}</dd>
    <dt>acr</dt><dd id="acr">{{.Session.ACR}}</dd>
    <dt>amr</dt><dd id="amr">{{range .Session.AMR}}{{.}} {{end}}</dd>
    <dt>auth_time</dt><dd id="auth_time">{{.Session.AuthTime.Format "2006-01-02 15:04:05 MST"}}</dd>
  </dl>
  <form method="post" action="/logout"><button id="logout">{{if .Korean}}로그아웃{{else}}Sign out{{end}}</button></form>
{{else}}
  <h1>{{if .Korean}}데모 애플리케이션{{else}}Demo application{{end}}</h1>
  <p>{{if .Korean}}로그인하지 않았습니다.{{else}}Nobody is signed in.{{end}}</p>
  <p><a href="/login" id="login">{{if .Korean}}로그인{{else}}Sign in{{end}}</a></p>
{{end}}
</main>
</html>
`

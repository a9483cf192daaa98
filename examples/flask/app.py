"""A Flask application that signs people in with Authlib and a second factor.

It makes the two calls of Authlib's shortest login: authorize_redirect and
authorize_access_token. Without SCOPE the request carries response_type,
client_id, redirect_uri and state, and nothing else; the answer is an access
token that says nothing about how the user signed in. That the second factor
happened is the server's promise: it gives this client no token without one.
With SCOPE=openid there is an ID token as well, whose claims the page shows.
"""

import os
import secrets

from authlib.integrations.base_client.errors import OAuthError
from authlib.integrations.flask_client import OAuth
from flask import Flask, url_for
from markupsafe import escape

DONE = "2FA 인증이 완료되었습니다."
FAILED = "2FA 인증이 실패하였습니다."

REDIRECT_URI = os.environ.get("REDIRECT_URI", "http://localhost:8000/callback")
SCOPE = os.environ.get("SCOPE", "")

app = Flask(__name__)
# Authlib keeps the state of a login in Flask's session, which needs a key.
app.secret_key = os.environ.get("SECRET_KEY") or secrets.token_hex(32)
app.config.update(SESSION_COOKIE_HTTPONLY=True, SESSION_COOKIE_SAMESITE="Lax")

oauth = OAuth(app)
oauth.register(
    "sallyport",
    client_id=os.environ["CLIENT_ID"],
    client_secret=os.environ["CLIENT_SECRET"],
    server_metadata_url=os.environ.get(
        "SERVER_METADATA_URL",
        "http://localhost:9000/.well-known/openid-configuration",
    ),
    client_kwargs={"scope": SCOPE} if SCOPE else None,
)


def page(sentence, detail=""):
    return (
        "<!doctype html><html lang=ko><meta charset=utf-8>"
        '<meta name=viewport content="width=device-width,initial-scale=1">'
        '<link rel=icon href="data:,"><title>2FA</title>'
        f"<h1>{escape(sentence)}</h1><p>{detail}</p>"
    )


@app.get("/")
def home():
    return page("Flask + Authlib", f'<a id=login href="{url_for("login")}">로그인</a>')


@app.get("/login")
def login():
    return oauth.sallyport.authorize_redirect(REDIRECT_URI)


@app.get("/callback")
def callback():
    token = oauth.sallyport.authorize_access_token()
    if "access_token" not in token:
        return page(FAILED), 403
    claims = token.get("userinfo")  # only with SCOPE=openid: a verified ID token
    if claims is None:
        return page(DONE)
    return page(DONE, f"acr: {escape(claims.get('acr'))}, amr: {escape(' '.join(claims.get('amr', [])))}")


@app.errorhandler(OAuthError)
def refused(error):
    """The user cancelled, or the answer is not one to a login of this browser."""
    return page(FAILED, escape(error.error)), 403


if __name__ == "__main__":
    app.run(host="localhost", port=int(os.environ.get("PORT", "8000")))

// A relying party made of openid-client, the certified library for Node.js. It reads what
// to do as JSON from its first argument, prints each thing that a test must know as a line
// of JSON, and ends.
import { createServer } from 'node:http'
import * as client from 'openid-client'

const todo = JSON.parse(process.argv[2])
const say = (line) => process.stdout.write(JSON.stringify(line) + '\n')

if (todo.do === 'keys') { // a key of our own, and what the server may know of it
  const pair = await crypto.subtle.generateKey({ name: 'ECDSA', namedCurve: 'P-256' }, true, ['sign'])
  const known = await crypto.subtle.exportKey('jwk', pair.publicKey)
  const secret = await crypto.subtle.exportKey('jwk', pair.privateKey)
  say({ private: secret, jwks: { keys: [{ kty: known.kty, crv: known.crv, x: known.x, y: known.y, alg: 'ES256', use: 'sig', kid: 'k1' }] } })
  process.exit(0)
}

let key
if (todo.private) {
  const algorithm = { name: 'ECDSA', namedCurve: 'P-256' }
  key = { key: await crypto.subtle.importKey('jwk', todo.private, algorithm, false, ['sign']), kid: 'k1' }
}
const authentication = key ? client.PrivateKeyJwt(key) : todo.secret ? client.ClientSecretBasic(todo.secret) : client.None()
const config = await client.discovery(new URL(todo.issuer), todo.clientId, {}, authentication)
const DPoP = todo.dpop ? client.getDPoPHandle(config, await client.randomDPoPKeyPair('ES256')) : undefined
const refused = async (call) => {
  try {
    await call()
    return 'nothing'
  } catch (e) {
    return e.error ?? e.cause?.[0]?.parameters?.error ?? e.code ?? String(e)
  }
}

// use shows what the tokens are good for, and ends them.
async function use(tokens) {
  const claims = tokens.claims()
  const info = await client.fetchUserInfo(config, tokens.access_token, claims.sub, { DPoP })
  const fresh = await client.refreshTokenGrant(config, tokens.refresh_token, undefined, { DPoP })
  await client.tokenRevocation(config, fresh.access_token)
  const revoked = await refused(() => client.fetchUserInfo(config, fresh.access_token, claims.sub, { DPoP }))
  await client.tokenRevocation(config, fresh.refresh_token ?? tokens.refresh_token)
  const ended = await refused(() => client.refreshTokenGrant(config, fresh.refresh_token ?? tokens.refresh_token, undefined, { DPoP }))
  const end = client.buildEndSessionUrl(config, { id_token_hint: tokens.id_token })
  say({ type: tokens.token_type, acr: claims.acr, amr: claims.amr, name: info.preferred_username, refreshed: fresh.token_type, rotated: !!fresh.refresh_token, revoked, ended, end })
}

async function code() {
  const redirect = new URL(todo.redirectUri)
  const verifier = client.randomPKCECodeVerifier()
  const state = client.randomState()
  const nonce = client.randomNonce()
  const parameters = {
    redirect_uri: redirect.href, scope: todo.scope ?? 'openid profile offline_access', state, nonce, prompt: todo.prompt ?? '',
    code_challenge: await client.calculatePKCECodeChallenge(verifier), code_challenge_method: 'S256',
  }
  if (!parameters.prompt) delete parameters.prompt
  let arrived
  const arrives = new Promise((resolve) => { arrived = resolve })
  const server = createServer((request, response) => {
    response.setHeader('Content-Type', 'text/html; charset=utf-8')
    response.end('<!doctype html><html lang="en"><title>Back</title><link rel="icon" href="data:,"><h1>Back</h1>')
    server.close()
    server.closeIdleConnections?.()
    arrived(new URL(request.url, redirect))
  })
  await new Promise((listening) => server.listen(Number(redirect.port), redirect.hostname, listening))
  let url
  if (todo.par) url = await client.buildAuthorizationUrlWithPAR(config, parameters, { DPoP })
  else if (todo.jar) url = await client.buildAuthorizationUrlWithJAR(config, parameters, key)
  else url = client.buildAuthorizationUrl(config, parameters)
  say({ url })
  await use(await client.authorizationCodeGrant(config, await arrives, { pkceCodeVerifier: verifier, expectedState: state, expectedNonce: nonce, idTokenExpected: true }, undefined, { DPoP }))
}

async function device() {
  const asked = await client.initiateDeviceAuthorization(config, { scope: 'openid profile offline_access' })
  say({ url: asked.verification_uri, userCode: asked.user_code })
  await use(await client.pollDeviceAuthorizationGrant(config, asked, undefined, { DPoP }))
}

async function machine() {
  const tokens = await client.clientCredentialsGrant(config, { resource: todo.resource }, { DPoP })
  const api = await client.discovery(new URL(todo.issuer), todo.api.id, {}, client.ClientSecretBasic(todo.api.secret))
  say({ type: tokens.token_type, said: await client.tokenIntrospection(api, tokens.access_token) })
}

await { code, device, machine }[todo.do]()
process.exit(0)

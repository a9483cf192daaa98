// A server that is not ours: oidc-provider, the certified one for Node.js. It prints
// {"issuer": …} and serves until it is ended, over TLS if it is given a certificate and its
// key; then it asks for certificates of clients. Its clients register themselves. Whoever
// comes has signed in as sora with a password and a code, without a page; through a client
// of the name "weak" with the password alone.
import { generateKeyPairSync } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { createServer as createTLSServer } from 'node:https'
import Provider from 'oidc-provider'

const strong = 'urn:sallyport:acr:2fa'
const [cert, certKey] = process.argv.slice(2).map((file) => readFileSync(file))
const server = cert ? createTLSServer({ cert, key: certKey, requestCert: true, rejectUnauthorized: false }) : createServer()
await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
const issuer = `${cert ? 'https' : 'http'}://127.0.0.1:${server.address().port}`
const key = (type, options) => generateKeyPairSync(type, options).privateKey.export({ format: 'jwk' })

const provider = new Provider(issuer, {
  jwks: { keys: [key('rsa', { modulusLength: 2048 }), key('ec', { namedCurve: 'P-256' })] },
  cookies: { keys: ['of a test'] },
  acrValues: [strong],
  clientAuthMethods: ['client_secret_basic', 'client_secret_post', 'private_key_jwt', 'self_signed_tls_client_auth', 'none'],
  claims: { openid: ['sub', 'acr', 'amr', 'auth_time'], profile: ['name', 'preferred_username'], email: ['email', 'email_verified'] },
  scopes: ['openid', 'offline_access'],
  interactions: { url: (ctx, interaction) => `/sign-in/${interaction.uid}` },
  findAccount: (ctx, sub) => ({
    accountId: sub,
    claims: () => ({ sub, name: 'Sora', preferred_username: 'sora', email: 'sora@example.com', email_verified: true }),
  }),
  extraTokenClaims: (ctx, token) => token.accountId ? { acr: strong, auth_time: Math.floor(Date.now() / 1000) } : undefined,
  issueRefreshToken: (ctx, client) => client.grantTypeAllowed('refresh_token'),
  rotateRefreshToken: true,
  loadExistingGrant: async (ctx) => {
    const grant = new ctx.oidc.provider.Grant({ clientId: ctx.oidc.client.clientId, accountId: ctx.oidc.session.accountId })
    grant.addOIDCScope('openid profile email offline_access')
    grant.addOIDCClaims(['acr', 'amr', 'auth_time'])
    if (ctx.oidc.params.resource) grant.addResourceScope(ctx.oidc.params.resource, 'read')
    await grant.save()
    return grant
  },
  fetch: (url, { dispatcher, ...options }) => fetch(url, options), // the test is on this machine
  features: {
    devInteractions: { enabled: false },
    backchannelLogout: { enabled: true },
    claimsParameter: { enabled: true },
    clientCredentials: { enabled: true },
    deviceFlow: { enabled: true },
    dPoP: { enabled: true, nonceSecret: Buffer.alloc(32, 7), requireNonce: () => true },
    introspection: { enabled: true },
    mTLS: {
      enabled: true, certificateBoundAccessTokens: true, selfSignedTlsClientAuth: true,
      getCertificate: (ctx) => ctx.socket.getPeerX509Certificate?.(),
    },
    registration: { enabled: true, initialAccessToken: 'initial' },
    registrationManagement: { enabled: true },
    resourceIndicators: {
      enabled: true,
      useGrantedResource: () => true,
      getResourceServerInfo: (ctx, resource) => ({
        scope: 'read', audience: resource, accessTokenTTL: 300, accessTokenFormat: resource.endsWith('/jwt') ? 'jwt' : 'opaque', jwt: { sign: { alg: 'ES256' } },
      }),
    },
    revocation: { enabled: true },
  },
})
provider.on('server_error', (ctx, error) => console.error(error))
const answer = provider.callback()

async function signIn(request, response) {
  const { prompt, params } = await provider.interactionDetails(request, response)
  if (prompt.name !== 'login') throw new Error(`prompt ${prompt.name}: ${prompt.reasons}`)
  const weak = (await provider.Client.find(params.client_id)).clientName === 'weak'
  if (weak && prompt.reasons.some((reason) => reason.startsWith('essential_acr'))) {
    return provider.interactionFinished(request, response, { error: 'unmet_authentication_requirements' })
  }
  const login = weak ? { amr: ['pwd'] } : { acr: strong, amr: ['pwd', 'otp', 'mfa'] }
  return provider.interactionFinished(request, response, { login: { accountId: 'sora', ...login } })
}

server.on('request', (request, response) => {
  if (!request.url.startsWith('/sign-in/')) return answer(request, response)
  signIn(request, response).catch((error) => {
    console.error(error)
    response.writeHead(500).end(String(error))
  })
})
console.log(JSON.stringify({ issuer }))

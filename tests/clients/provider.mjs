// An OpenID Connect provider for a test: people sign in with their names, and their groups are given.
//   node provider.mjs PORT REDIRECT_URI KEY_ID GROUPS_AS_JSON ALGORITHM
import { generateKeyPairSync } from 'node:crypto';
import { Provider } from 'oidc-provider';

const [port, redirect, kid, groups, algorithm] = process.argv.slice(2);
const key = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey.export({ format: 'jwk' });
const people = JSON.parse(groups);

const provider = new Provider(`http://127.0.0.1:${port}`, {
  clients: [{
    client_id: 'portico',
    client_secret: 'the-secret-of-the-portal-in-the-test',
    redirect_uris: [redirect],
    response_types: ['code'],
    grant_types: ['authorization_code'],
    id_token_signed_response_alg: algorithm,
  }],
  jwks: { keys: [{ ...key, kid, use: 'sig', alg: 'RS256' }] },
  cookies: { keys: ['for the test'] },
  claims: { openid: ['sub'], email: ['email', 'email_verified'], groups: ['groups'] },
  scopes: ['openid', 'email', 'groups'],
  conformIdTokenClaims: false,
  enabledJWA: { idTokenSigningAlgValues: ['RS256', 'HS256'] },
  pkce: { required: () => true },
  findAccount: (_, id) => ({
    accountId: id,
    claims: () => ({ sub: id, email: `${id}@city.example`, email_verified: true, groups: people[id] ?? [] }),
  }),
});
provider.listen(Number(port), '127.0.0.1', () => console.log('provider ready'));

// PostGraphile 5 as its documentation says to run it in production: no GraphiQL, no watching, no explaining, prepared statements on,
// several processes. Every request takes the caller's role and tells PostgreSQL who is asking, as our server does, so both pay for
// row-level security. The token is verified, then believed: it brings the caller's ids, which our server reads from the database.
import cluster from 'node:cluster'
import { createPublicKey, verify } from 'node:crypto'
import { createServer } from 'node:http'
import { postgraphile } from 'postgraphile'
import { makePgService } from 'postgraphile/adaptors/pg'
import { grafserv } from 'postgraphile/grafserv/node'
import { PostGraphileAmberPreset } from 'postgraphile/presets/amber'

const { DATABASE_URL, JWT_KEY, PORT, POOL, PROCESSES, PLANS } = process.env
const key = createPublicKey(JWT_KEY)

// Signatures that were verified are remembered, as our server does; that a token has not expired is looked at each time.
const known = new Map()

function claims(header) {
  let claims = known.get(header)
  if (!claims) {
    claims = verified(header)
    if (known.size < 10_000) known.set(header, claims)
  }
  if (claims.exp * 1000 <= Date.now()) throw new Error('token expired')
  return claims.postgraphile
}

function verified(header) {
  const [head, payload, signature] = (header ?? '').replace(/^Bearer /, '').split('.')
  if (!signature || !verify('RSA-SHA256', Buffer.from(`${head}.${payload}`), key, Buffer.from(signature, 'base64url'))) {
    throw new Error('token refused')
  }
  return JSON.parse(Buffer.from(payload, 'base64url'))
}

async function serve() {
  const server = postgraphile({
    extends: [PostGraphileAmberPreset],
    pgServices: [
      makePgService({
        connectionString: DATABASE_URL,
        schemas: ['public', 'bench'],
        // Closed and opened again, idle connections would be charged to it.
        poolConfig: { max: Number(POOL), idleTimeoutMillis: 0, options: `-c plan_cache_mode=${PLANS}` },
      }),
    ],
    schema: { defaultBehavior: '+connection +list +orderBy' },
    grafserv: { port: Number(PORT), graphiql: false, watch: false, outputDataAsString: true, maxRequestLength: 100_000 },
    grafast: {
      explain: false,
      context({ node }) {
        const caller = claims(node?.req.headers.authorization)
        return {
          pgSettings: {
            role: caller.role,
            'app.tenant_id': caller.tenant,
            'app.partner_id': caller.partner,
            'app.user_id': caller.user,
          },
        }
      },
    },
  }).createServ(grafserv)
  const http = createServer()
  http.on('error', (error) => {
    console.error(error)
    process.exit(1)
  })
  await server.addTo(http)
  http.listen(Number(PORT), '127.0.0.1')
}

if (cluster.isPrimary) {
  for (let i = 0; i < Number(PROCESSES); i++) cluster.fork()
  // With one of them gone, the figures would be of another set-up.
  cluster.on('exit', () => process.exit(1))
  process.on('SIGTERM', () => process.exit(0))
} else {
  await serve()
}

//! What a developer sees when the server is up.

use std::net::SocketAddr;

/// Prints where to look, with what token, and what to try next.
pub fn print(address: SocketAddr, has_dashboard: bool, owner: &str, operator: &str) {
    let portal = if has_dashboard {
        format!("http://{address}/")
    } else {
        "is not built: npm ci --prefix dashboard, then start again".to_owned()
    };
    super::say(&format!(
        "
  Partner portal (development)

  Portal       {portal}
  Explore      http://{address}/graphiql
  API          POST http://{address}/graphql

  A partner's owner, good for 12 hours:
{owner}

  An operator, good for 12 hours:
{operator}

  Try next, in another terminal:
    curl -s http://{address}/graphql -H 'content-type: application/json' \\
      -H \"authorization: Bearer $(cargo run -q -- token)\" \\
      -d '{{\"query\":\"{{ dashboard {{ partner {{ companyName }} stats {{ totalLeads }} }} }}\"}}'

  Ctrl-C stops the server and its database.

"
    ));
}

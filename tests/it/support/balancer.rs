//! What stands in front of several servers: each connection goes to the next one that is ready and accepts it.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinSet,
};

/// How often servers are asked whether they are ready.
const CHECK: Duration = Duration::from_millis(200);

struct Server {
    address: SocketAddr,
    is_ready: AtomicBool,
}

/// A balancer of connections, until it is dropped.
pub struct Balancer {
    pub address: SocketAddr,
    _tasks: JoinSet<()>,
}

impl Balancer {
    pub async fn of(servers: Vec<SocketAddr>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let servers = servers.into_iter().map(|address| Arc::new(Server { address, is_ready: AtomicBool::new(true) }));
        let servers: Vec<Arc<Server>> = servers.collect();
        let mut tasks: JoinSet<()> = servers.iter().map(|server| check(Arc::clone(server))).collect();
        let turn = Arc::new(AtomicUsize::new(0));
        tasks.spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(lead(client, servers.clone(), Arc::clone(&turn)));
            }
        });
        Self { address, _tasks: tasks }
    }
}

async fn check(server: Arc<Server>) {
    let client = reqwest::Client::builder().timeout(CHECK * 5).build().expect("a client");
    loop {
        let ready = client.get(format!("http://{}/readyz", server.address)).send().await;
        server.is_ready.store(ready.is_ok_and(|answer| answer.status().is_success()), Ordering::Relaxed);
        tokio::time::sleep(CHECK).await;
    }
}

async fn lead(mut client: TcpStream, mut servers: Vec<Arc<Server>>, turn: Arc<AtomicUsize>) {
    let count = servers.len();
    servers.rotate_left(turn.fetch_add(1, Ordering::Relaxed) % count);
    // Where none is ready, whichever accepts.
    servers.sort_by_key(|server| !server.is_ready.load(Ordering::Relaxed));
    for server in servers {
        if let Ok(mut server) = TcpStream::connect(server.address).await {
            let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
            return;
        }
    }
}

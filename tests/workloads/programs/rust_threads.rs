// SPDX-License-Identifier: GPL-2.0-or-later

//! Threads of Rust: channels, locks, barriers, sockets on loopback, children
//!
//! usage: rust_threads STEPS MODEL      (the contract is that of journal.py)

use std::env;
use std::fs::{self, File, OpenOptions};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{self, Command, Stdio};
use std::sync::mpsc::{channel, sync_channel, Receiver, Sender, SyncSender};
use std::sync::{Arc, Barrier, Condvar, Mutex, RwLock};
use std::thread;
use std::time::Duration;

const WORKERS: u64 = 6;
const ROWS: u64 = 30_000;

/// A hash of 256 bits, quick and not for secrets: four of 64 (FNV-1a), each with its beginning.
#[derive(Clone, PartialEq)]
struct Hash([u64; 4]);

impl Hash {
    fn new() -> Hash {
        Hash([0xcbf2_9ce4_8422_2325, 0x1234_5678_9abc_def1, 0x9e37_79b9_7f4a_7c15, 0xdead_beef_0bad_f00d])
    }

    fn add(&mut self, data: &[u8]) {
        for byte in data {
            for (i, part) in self.0.iter_mut().enumerate() {
                *part = (*part ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3 + 2 * i as u64);
            }
        }
    }

    fn text(&self) -> String {
        self.0.iter().map(|part| format!("{:016x}", part)).collect()
    }
}

fn hash(text: &str) -> Hash {
    let mut h = Hash::new();
    h.add(text.as_bytes());
    h
}

fn journal() -> File {
    OpenOptions::new().append(true).create(true).open("journal").expect("no journal")
}

/// A line, by one call.
fn line(file: &mut File, text: &str) {
    let text = format!("{}\n", text);
    assert!(file.write(text.as_bytes()).expect("no line") == text.len(), "a part of a line");
}

fn slow() -> f64 {
    env::var("CKPT_SLOW").map_or(1.0, |text| text.parse().expect("CKPT_SLOW is a number"))
}

/// Somebody who echoes, one thread for each connection.
fn serve(listens: TcpListener) {
    for stream in listens.incoming() {
        let mut stream = stream.expect("no connection");
        thread::spawn(move || {
            let mut data = [0; 4096];
            loop {
                let n = stream.read(&mut data).expect("a read failed");
                if n == 0 {
                    break;
                }
                stream.write_all(&data[..n]).expect("a write failed");
            }
        });
    }
}

fn echo(stream: &mut TcpStream, step: u64, number: u64) -> String {
    let there = hash(&format!("{} {}", step, number)).text().repeat(200);
    let mut back = vec![0; there.len()];
    let mut writes = stream.try_clone().expect("no second handle");
    let sent = there.clone();
    let writer = thread::spawn(move || writes.write_all(sent.as_bytes()).expect("a write failed"));
    stream.read_exact(&mut back).expect("a read failed");
    writer.join().expect("who writes has failed");
    assert!(back == there.as_bytes(), "another echo");
    there[..64].to_string()
}

/// All that threads share.
struct Shared {
    rows: RwLock<Vec<u64>>,
    turn: Mutex<u64>,
    turned: Condvar,
    barrier: Barrier,
}

impl Shared {
    /// Rows of this step, which continue those of the one before.
    fn fill(&self, step: u64, part: u64) -> Hash {
        let mut all = Hash::new();
        for row in (part..ROWS).step_by(WORKERS as usize) {
            let old = self.rows.read().expect("poisoned")[row as usize];
            assert!(old == (step - 1) * row, "a row was another");
            self.rows.write().expect("poisoned")[row as usize] = step * row;
            all.add(&(old + step).to_le_bytes());
        }
        self.barrier.wait();
        let mut turn = self.turn.lock().expect("poisoned");
        while *turn % WORKERS != part {
            turn = self.turned.wait(turn).expect("poisoned");
        }
        *turn += 1;
        assert!(*turn == (step - 1) * WORKERS + part + 1, "out of turn");
        self.turned.notify_all();
        all
    }
}

fn worker(shared: Arc<Shared>, part: u64, steps: Receiver<u64>, done: Sender<(u64, String)>, port: u16) {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("no connection");
    for step in steps {
        let mut all = shared.fill(step, part);
        all.add(echo(&mut stream, step, part).as_bytes());
        done.send((part, all.text())).expect("nobody waits");
    }
}

/// A program that reads what it is given.
fn child(step: u64) -> String {
    let mut c = Command::new("sh")
        .args(&["-c", &format!("sleep {}; sha256sum", 0.1 * slow())])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("no child");
    write!(c.stdin.take().expect("no pipe"), "step {}", step).expect("a write failed");
    let out = c.wait_with_output().expect("no child to wait for");
    assert!(out.status.success(), "a child has failed");
    String::from_utf8(out.stdout).expect("it said something else")
}

/// Numbers go through two bounded channels.
fn chain() -> (SyncSender<u64>, Receiver<u64>) {
    let (first, middle) = sync_channel::<u64>(0);
    let (to, last) = sync_channel(2);
    thread::spawn(move || middle.iter().for_each(|n| to.send(n * n + 1).expect("nobody reads")));
    (first, last)
}

fn work(steps: u64, model: &str) {
    let listens = TcpListener::bind("127.0.0.1:0").expect("no port");
    let port = listens.local_addr().expect("no address").port();
    thread::spawn(move || serve(listens));
    let shared = Arc::new(Shared {
        rows: RwLock::new(vec![0; ROWS as usize]),
        turn: Mutex::new(0),
        turned: Condvar::new(),
        barrier: Barrier::new(WORKERS as usize),
    });
    let (done, answers) = channel();
    let mut jobs = Vec::new();
    for part in 0..WORKERS {
        let (job, steps) = channel();
        let (shared, done) = (shared.clone(), done.clone());
        thread::spawn(move || worker(shared, part, steps, done, port));
        jobs.push(job);
    }
    let (to, from) = chain();
    let (mut running, mut file) = (Hash::new(), journal());
    for step in 1..=steps {
        while model != "-" && !Path::new(&format!("{}/{}", model, step)).exists() {
            thread::sleep(Duration::from_millis(10));
        }
        jobs.iter().for_each(|job| job.send(step).expect("a worker has ended"));
        let beside = thread::spawn(move || child(step));
        let mut seen = vec![String::new(); WORKERS as usize];
        for _ in 0..WORKERS {
            let (part, text) = answers.recv_timeout(Duration::from_secs(120)).expect("no answer");
            assert!(seen[part as usize].is_empty(), "an answer came twice");
            seen[part as usize] = text;
        }
        to.send(step).expect("the chain has ended");
        assert!(from.recv().expect("the chain has ended") == step * step + 1, "another number");
        seen.push(beside.join().expect("a thread has failed"));
        seen.iter().for_each(|text| running.add(text.as_bytes()));
        line(&mut file, &format!("{:06} {}", step, running.text()));
    }
    let lines = fs::read_to_string("journal").expect("no journal");
    let numbers: Vec<u64> = lines.lines().map(|l| l[..6].parse().expect("no number")).collect();
    assert!(numbers == (1..=steps).collect::<Vec<u64>>(), "the journal lacks steps");
    line(&mut file, &format!("final {}", running.text()));
}

fn main() {
    let args: Vec<String> = env::args().collect();
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        usual(info);
        let _ = writeln!(journal(), "broken {}", info);
        process::exit(3);
    }));
    work(args[1].parse().expect("a number of steps"), &args[2]);
}

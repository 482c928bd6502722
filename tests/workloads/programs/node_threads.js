#!/usr/bin/env node
// SPDX-License-Identifier: GPL-2.0-or-later
//
// Threads as Node has them: workers that share memory, the pool behind the loop, streams, children
//
// usage: node_threads.js STEPS MODEL      (see journal.py)
'use strict';
const { Worker, isMainThread, workerData, parentPort } = require('node:worker_threads');
const { createHash, pbkdf2 } = require('node:crypto');
const { spawn } = require('node:child_process');
const { promisify } = require('node:util');
const { setTimeout: sleep } = require('node:timers/promises');
const fs = require('node:fs');
const net = require('node:net');
const zlib = require('node:zlib');

const WORKERS = 4;
const SLOW = Number(process.env.CKPT_SLOW ?? 1);
const PART = 1 << 18;	// bytes of the shared memory that belong to one worker

const digest = (...parts) => {
	const hash = createHash('sha256');

	for (const part of parts)
		hash.update(part);
	return hash.digest();
};

const must = (isSo, what) => {
	if (!isSo)
		throw new Error(what);
};

// All workers, blocked: words 0 and 1 are how many have come, and which time it is
function meet(words) {
	const turn = Atomics.load(words, 1);

	if (Atomics.add(words, 0, 1) === WORKERS - 1) {
		Atomics.store(words, 0, 0);
		Atomics.add(words, 1, 1);
		Atomics.notify(words, 1);
		return;
	}
	while (Atomics.load(words, 1) === turn)
		Atomics.wait(words, 1, turn);
}

async function work({ number, shared, words }) {
	const memory = Buffer.from(shared);
	const own = Buffer.alloc(1 << 20, String(number));
	const turn = async (step, given) => {
		const page = (step * 7919 + number * 104729) % (own.length / 4096) * 4096;
		const at = number * PART + step * 31 % (PART / 4096) * 4096;
		const next = (number + 1) % WORKERS * PART + step * 31 % (PART / 4096) * 4096;

		digest(own, Buffer.from(given)).copy(own, page);
		own.copy(memory, at, page, page + 32);
		Atomics.add(words, 2, number + 1);
		meet(words);
		const heard = Buffer.from(memory.subarray(next, next + 32));

		meet(words);
		const key = await promisify(pbkdf2)(heard, String(step), 1500, 32, 'sha256');
		const packed = await promisify(zlib.gzip)(own.subarray(page, page + 4096));
		const name = `worker${number}`;

		await fs.promises.writeFile(name, packed);
		const back = await promisify(zlib.gunzip)(await fs.promises.readFile(name));

		must(back.equals(own.subarray(page, page + 4096)), `${name} is another one`);
		return digest(heard, key, back);
	};

	parentPort.on('message', ({ step, given }) => {
		turn(step, given).then((seen) => parentPort.postMessage({ step, seen }));
	});
}

// A server in this process, with one client that stays
async function startEcho() {
	const server = net.createServer((socket) => socket.pipe(socket));

	await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
	const client = net.connect(server.address().port, '127.0.0.1');

	await new Promise((resolve) => client.once('connect', resolve));
	return async (text) => {
		let heard = '';

		client.write(text);
		while (heard.length < text.length)
			heard += await new Promise((resolve) => client.once('data', resolve));
		must(heard === text, `the echo of ${text} is ${heard}`);
	};
}

function child(step) {
	return new Promise((resolve, reject) => {
		const script = `read line; sleep ${0.05 * SLOW}; echo $line | sha256sum; ` +
			`exit ${step % 7}`;
		const program = spawn('sh', ['-c', script]);
		let output = '';

		program.stdout.on('data', (data) => { output += data; });
		program.on('error', reject);
		program.on('close', (status) => {
			must(status === step % 7, `a child ended with ${status}`);
			resolve(output);
		});
		program.stdin.end(`step ${step}\n`);
	});
}

class Team {
	constructor() {
		const shared = new SharedArrayBuffer(WORKERS * PART);

		this.words = new Int32Array(new SharedArrayBuffer(12));
		this.workers = [...Array(WORKERS).keys()].map((number) => new Worker(__filename, {
			workerData: { number, shared, words: this.words },
		}));
	}

	ask(step) {
		return Promise.all(this.workers.map((worker, number) => new Promise((resolve) => {
			const given = new Uint8Array(4096).fill(step + number);

			worker.once('message', (answer) => {
				must(answer.step === step, `answered ${answer.step} in ${step}`);
				resolve(answer.seen);
			});
			worker.postMessage({ step, given }, [given.buffer]);
		})));
	}
}

async function main(steps, model) {
	const team = new Team();
	const echo = await startEcho();
	let running = digest('journal');
	let ticks = 0;

	setInterval(() => { ticks++; }, 5);
	for (let step = 1; step <= steps; step++) {
		while (model !== '-' && !fs.existsSync(`${model}/${step}`))
			await sleep(10);
		const [output, seen] = await Promise.all([child(step), team.ask(step),
			echo(`step ${step}`), sleep(20)]);

		must(Atomics.load(team.words, 2) === step * 10, 'an addition is lost');
		running = digest(running, output, ...seen);
		fs.appendFileSync('journal',
			`${String(step).padStart(6, '0')} ${running.toString('hex')}\n`);
	}
	must(ticks > steps, 'the interval has ended');
	fs.appendFileSync('journal', `final ${running.toString('hex')}\n`);
	process.exit(0);
}

if (isMainThread) {
	main(Number(process.argv[2]), process.argv[3]).catch((error) => {
		fs.appendFileSync('journal', `broken ${error.message}\n`);
		process.exit(3);
	});
} else {
	work(workerData);
}

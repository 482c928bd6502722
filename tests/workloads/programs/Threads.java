// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Threads of Java: pools, queues, locks, timers, a selector and a collector that has much to do
 *
 * usage: java Threads STEPS MODEL      (the contract is that of journal.py)
 */
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.ByteBuffer;
import java.nio.channels.SelectionKey;
import java.nio.channels.Selector;
import java.nio.channels.ServerSocketChannel;
import java.nio.channels.SocketChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.security.MessageDigest;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.CyclicBarrier;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import java.util.stream.LongStream;

public final class Threads {
	private static final int WORKERS = 6;
	private static final int ENTRIES = 20000;
	private static final Path JOURNAL = Path.of("journal");

	private final int steps;
	private final String model;
	private final long slow;
	private final MessageDigest running = sha256();
	private final ExecutorService pool = Executors.newFixedThreadPool(WORKERS);
	private final ScheduledExecutorService timers = Executors.newScheduledThreadPool(2);
	private final Map<Integer, byte[]> table = new ConcurrentHashMap<>();
	private final BlockingQueue<Integer> asked = new LinkedBlockingQueue<>();
	private final BlockingQueue<Long> answered = new LinkedBlockingQueue<>();
	private final AtomicLong ticks = new AtomicLong();
	private final Object turn = new Object();
	private int whose;
	private SocketChannel client;

	private Threads(int steps, String model) {
		String text = System.getenv("CKPT_SLOW");

		this.steps = steps;
		this.model = model;
		this.slow = text == null ? 1 : Long.parseLong(text);
	}

	private static MessageDigest sha256() {
		try {
			return MessageDigest.getInstance("SHA-256");
		} catch (Exception e) {
			throw new IllegalStateException(e);
		}
	}

	private static void must(boolean is, String what) {
		if (!is)
			throw new IllegalStateException(what);
	}

	private static void line(String text) throws IOException {
		Files.writeString(JOURNAL, text + "\n", StandardOpenOption.CREATE,
				  StandardOpenOption.APPEND);
	}

	private static String hex(MessageDigest digest) throws Exception {
		return HexFormat.of().formatHex(((MessageDigest)digest.clone()).digest());
	}

	private static byte[] hash(String text) {
		return sha256().digest(text.getBytes(StandardCharsets.UTF_8));
	}

	/* Echoes what comes, by a selector. */
	private static void serve(ServerSocketChannel listens) {
		try (Selector selector = Selector.open()) {
			listens.configureBlocking(false);
			listens.register(selector, SelectionKey.OP_ACCEPT);
			while (true) {
				selector.select();
				for (SelectionKey key : selector.selectedKeys())
					serve(selector, key);
				selector.selectedKeys().clear();
			}
		} catch (IOException e) {
			e.printStackTrace();
		}
	}

	private static void serve(Selector selector, SelectionKey key) throws IOException {
		ByteBuffer data = ByteBuffer.allocate(65536);

		if (key.isAcceptable()) {
			SocketChannel one = ((ServerSocketChannel)key.channel()).accept();

			one.configureBlocking(false);
			one.register(selector, SelectionKey.OP_READ);
		} else if (((SocketChannel)key.channel()).read(data) < 0) {
			key.channel().close();
		} else {
			data.flip();
			while (data.hasRemaining())
				((SocketChannel)key.channel()).write(data);
		}
	}

	private byte[] echo(int step) throws IOException {
		ByteBuffer there = ByteBuffer.allocate(30000);
		ByteBuffer back = ByteBuffer.allocate(30000);

		while (there.remaining() >= 32)
			there.put(hash(step + " " + there.position()));
		client.write(there.flip());
		back.limit(there.limit());
		while (back.hasRemaining())
			must(client.read(back) > 0, "a connection has ended");
		must(back.flip().equals(there.rewind()), "another echo");
		return sha256().digest(back.array());
	}

	/* A part of the table made anew: what was there becomes garbage. */
	private byte[] fill(int step, int part) {
		MessageDigest all = sha256();

		for (int i = part; i < ENTRIES; i += WORKERS) {
			byte[] old = table.put(i, hash(step + " " + i));

			must(old == null ? step == 1 : java.util.Arrays.equals(old, hash(step - 1 + " " + i)),
			     "an entry of the table is not what it was");
			all.update(table.get(i));
		}
		return all.digest();
	}

	/* One after the other, by wait and notify. */
	private int inTurn(int part) throws InterruptedException {
		synchronized (turn) {
			while (whose % WORKERS != part)
				turn.wait();
			whose++;
			turn.notifyAll();
			return whose;
		}
	}

	private byte[] child(int step) throws Exception {
		Process p = new ProcessBuilder("sh", "-c", "sleep " + 0.3 * slow + "; sha256sum").start();

		try (var in = p.getOutputStream()) {
			in.write(("step " + step).getBytes(StandardCharsets.UTF_8));
		}
		byte[] said = p.getInputStream().readAllBytes();

		must(p.waitFor() == 0, "a child has failed");
		return said;
	}

	private void sum() {
		try {
			while (true) {
				long to = asked.take() * 100000L;

				answered.put(LongStream.rangeClosed(1, to).parallel().map(i -> i % 7).sum());
			}
		} catch (InterruptedException e) {
			Thread.currentThread().interrupt();
		}
	}

	private List<byte[]> step(int step) throws Exception {
		List<Future<byte[]>> parts = new ArrayList<>();
		List<byte[]> seen = new ArrayList<>();
		CyclicBarrier barrier = new CyclicBarrier(WORKERS);
		CountDownLatch timed = new CountDownLatch(3);
		Future<byte[]> child = timers.submit(() -> child(step));

		for (int i = 0; i < 3; i++)
			timers.schedule(timed::countDown, 10 * i, TimeUnit.MILLISECONDS);
		asked.put(step);
		for (int i = 0; i < WORKERS; i++) {
			int part = i;

			parts.add(pool.submit(() -> {
				byte[] got = fill(step, part);

				barrier.await();
				must(inTurn(part) == (step - 1) * WORKERS + part + 1, "out of turn");
				return got;
			}));
		}
		if (step % 5 == 0)
			System.gc();
		seen.add(echo(step));
		for (Future<byte[]> part : parts)
			seen.add(part.get());
		seen.add(child.get());
		must(timed.await(120, TimeUnit.SECONDS), "a timer did not come");
		seen.add(Long.toString(answered.take()).getBytes(StandardCharsets.UTF_8));
		must(answered.isEmpty(), "an answer came twice");
		return seen;
	}

	private void run() throws Exception {
		ServerSocketChannel listens = ServerSocketChannel.open()
			.bind(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0));
		Thread server = new Thread(() -> serve(listens), "server");
		Thread sums = new Thread(this::sum, "sums");

		server.setDaemon(true);
		server.start();
		sums.setDaemon(true);
		sums.start();
		client = SocketChannel.open(listens.getLocalAddress());
		timers.scheduleAtFixedRate(ticks::incrementAndGet, 0, 5, TimeUnit.MILLISECONDS);
		for (int step = 1; step <= steps; step++) {
			while (!model.equals("-") && !Files.exists(Path.of(model, "" + step)))
				Thread.sleep(10);
			for (byte[] part : step(step))
				running.update(part);
			line(String.format("%06d %s", step, hex(running)));
		}
		must(ticks.get() > 0, "no ticks");
		List<String> lines = Files.readAllLines(JOURNAL);
		must(lines.size() == steps, "the journal lacks steps");
		for (int step = 1; step <= steps; step++)
			must(Integer.parseInt(lines.get(step - 1).split(" ")[0]) == step, "order");
		line("final " + hex(running));
	}

	public static void main(String[] args) throws Exception {
		try {
			new Threads(Integer.parseInt(args[0]), args[1]).run();
		} catch (Throwable broken) {
			broken.printStackTrace();
			line("broken " + broken);
			System.exit(3);
		}
		System.exit(0);
	}
}

// SPDX-License-Identifier: GPL-2.0-or-later

// Goroutines that hand work to each other by channels and by HTTP on loopback, beside timers,
// children and a collector that has much to do
//
// usage: goroutines STEPS MODEL      (the contract is that of journal.py)
package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

const (
	workers = 8
	stages  = 5
	entries = 20000
)

var (
	slow    = 1
	journal *os.File
)

func must(is bool, format string, args ...any) {
	if !is {
		line("broken " + fmt.Sprintf(format, args...))
		os.Exit(3)
	}
}

func works(err error) {
	must(err == nil, "%v", err)
}

func line(text string) {
	n, err := journal.WriteString(text + "\n")
	if err != nil || n != len(text)+1 {
		os.Exit(4)
	}
}

func hash(format string, args ...any) []byte {
	sum := sha256.Sum256([]byte(fmt.Sprintf(format, args...)))
	return sum[:]
}

// A pipeline: each of its stages adds its name, in a goroutine of its own.
func pipeline() (chan<- string, <-chan string) {
	first := make(chan string)
	in := first
	for i := 0; i < stages; i++ {
		from, to, name := in, make(chan string, i), i
		go func() {
			for text := range from {
				to <- fmt.Sprintf("%x%d", hash(text), name)
			}
		}()
		in = to
	}
	return first, in
}

// A service counts how often each question came: twice would be once too often.
type service struct {
	mutex sync.Mutex
	asked map[string]int
	url   string
}

func (s *service) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	works(err)
	s.mutex.Lock()
	s.asked[r.URL.Path]++
	times := s.asked[r.URL.Path]
	s.mutex.Unlock()
	works(json.NewEncoder(w).Encode(map[string]any{
		"times": times, "hash": fmt.Sprintf("%x", sha256.Sum256(body)), "length": len(body),
	}))
}

func serve() *service {
	s := &service{asked: map[string]int{}}
	listens, err := net.Listen("tcp", "127.0.0.1:0")
	works(err)
	s.url = "http://" + listens.Addr().String()
	go func() { works(http.Serve(listens, s)) }()
	return s
}

func (s *service) ask(step, number int) []byte {
	body := bytes.Repeat(hash("%d %d", step, number), 300*(number+1))
	answer, err := http.Post(fmt.Sprintf("%s/%d/%d", s.url, step, number), "text/plain",
		bytes.NewReader(body))
	works(err)
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	works(err)
	wanted := fmt.Sprintf("{\"hash\":\"%x\",\"length\":%d,\"times\":1}\n", sha256.Sum256(body),
		len(body))
	must(string(text) == wanted, "the answer is %s", text)
	return text
}

func child(step int) []byte {
	c := exec.Command("sh", "-c", fmt.Sprintf("sleep %g; sha256sum", 0.1*float64(slow)))
	c.Stdin = strings.NewReader(fmt.Sprint("step ", step))
	out, err := c.Output()
	works(err)
	return out
}

// What is replaced becomes garbage.
type table struct {
	sync.RWMutex
	rows map[int][]byte
}

func (t *table) fill(step, part int) []byte {
	all := sha256.New()
	for i := part; i < entries; i += workers {
		t.RLock()
		old := t.rows[i]
		t.RUnlock()
		must(step == 1 || bytes.Equal(old, hash("%d %d", step-1, i)), "a row was another")
		now := hash("%d %d", step, i)
		t.Lock()
		t.rows[i] = now
		t.Unlock()
		all.Write(now)
	}
	return all.Sum(nil)
}

func main() {
	var err error
	journal, err = os.OpenFile("journal", os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o644)
	works(err)
	steps, err := strconv.Atoi(os.Args[1])
	works(err)
	if text := os.Getenv("CKPT_SLOW"); text != "" {
		slow, err = strconv.Atoi(text)
		works(err)
	}
	running, in, out, s := hash("journal"), make(chan<- string), make(<-chan string), serve()
	in, out = pipeline()
	rows := &table{rows: map[int][]byte{}}
	var ticks atomic.Int64
	ticker := time.NewTicker(time.Millisecond)
	go func() {
		for range ticker.C {
			ticks.Add(1)
		}
	}()
	for step := 1; step <= steps; step++ {
		for os.Args[2] != "-" {
			if _, err := os.Stat(fmt.Sprintf("%s/%d", os.Args[2], step)); err == nil {
				break
			}
			time.Sleep(10 * time.Millisecond)
		}
		seen := make([][]byte, 2*workers+2)
		var group sync.WaitGroup
		side := func(at int, work func() []byte) {
			group.Add(1)
			go func() {
				defer group.Done()
				seen[at] = work()
			}()
		}
		for number := 0; number < workers; number++ {
			number := number
			side(number, func() []byte { return rows.fill(step, number) })
			side(workers+number, func() []byte { return s.ask(step, number) })
		}
		side(2*workers, func() []byte { return child(step) })
		side(2*workers+1, func() []byte {
			in <- fmt.Sprint(step)
			return []byte(<-out)
		})
		// a deadline that passes, in its time
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
		<-ctx.Done()
		cancel()
		group.Wait()
		if step%5 == 0 {
			runtime.GC()
		}
		for _, part := range seen {
			running = hash("%x%x", running, part)
		}
		line(fmt.Sprintf("%06d %x", step, running))
	}
	must(ticks.Load() > 0, "no ticks")
	text, err := os.ReadFile("journal")
	works(err)
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	must(len(lines) == steps, "the journal lacks steps")
	for i, l := range lines {
		must(strings.HasPrefix(l, fmt.Sprintf("%06d ", i+1)), "the journal is out of order")
	}
	line(fmt.Sprintf("final %x", running))
}

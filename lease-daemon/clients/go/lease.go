// Package lease takes locks of lease-daemon, with nothing but the standard library of Go 1.19. Copy this file.
//
//	lease.Do(ctx, "orders.42", 15*time.Second, time.Minute, func(ctx context.Context, held *lease.Held) error {
//		return work(ctx, held.Token) // ctx ends when the lock is lost; Do then returns lease.ErrLost
//	})
package lease

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"
)

// What Do may return: that somebody else held it, or no daemon could be reached, for as long as we would wait; and that
// it was lost before the work had ended. The text of what wraps them says more.
var ErrNotGranted, ErrLost = errors.New("not granted"), errors.New("the lock is lost")

// Message is what the daemon says: an event of the stream or, as an error, why it refuses.
type Message struct {
	Event, Reason, Code, Detail string
	Retry                       any // of a refusal: "never", "now", or milliseconds
	Holder                      struct{ Owner string }
	Token                       uint64
	Deadline                    int64 `json:"deadline_boottime_ns"`
}

func (m *Message) Error() string { return fmt.Sprintf("%s (%s%s)", m.Detail, m.Code, m.Reason) }

// Held is a lock that is held.
type Held struct {
	Token    uint64
	conn     net.Conn // closing it releases
	messages *json.Decoder
	deadline atomic.Int64          // on CLOCK_BOOTTIME
	lost     atomic.Pointer[error] // once it is
}

// Remaining is for how long it is certainly ours: 0 once lost. Its clock goes on while the machine sleeps.
func (h *Held) Remaining() time.Duration {
	var now syscall.Timespec
	syscall.Syscall(syscall.SYS_CLOCK_GETTIME, 7 /* CLOCK_BOOTTIME */, uintptr(unsafe.Pointer(&now)), 0)
	if left := h.deadline.Load() - now.Nano(); left > 0 && h.lost.Load() == nil {
		return time.Duration(left)
	}
	return 0
}

// Do runs work while it holds the lock of this name, which it waits for at most so long.
func Do(ctx context.Context, name string, ttl, wait time.Duration, work func(context.Context, *Held) error) error {
	held, err := granted(ctx, name, ttl, wait)
	if err != nil {
		return err
	}
	defer held.conn.Close() // only when the work has ended, also after a loss
	ctx, stop := context.WithCancel(ctx)
	lose := func(reason string) {
		err := fmt.Errorf("%w: %s", ErrLost, reason)
		held.lost.CompareAndSwap(nil, &err) // the first reason stands
		stop()
	}
	defer lose("released") // ends what begins here
	go func() {
		m := &Message{Reason: "disconnected"} // a daemon that is gone, or has given us up: either way it is lost
		for m.Event != "lost" && held.messages.Decode(m) == nil {
			if m.Event == "alive" {
				held.deadline.Store(m.Deadline)
			}
		}
		lose(m.Reason)
	}()
	go func() { // timers stand still while the machine sleeps, so the clock is looked at again and again
		for held.Remaining() > 0 {
			time.Sleep(50 * time.Millisecond)
		}
		lose("expired")
	}()
	err = work(ctx, held)
	if held.Remaining() == 0 {
		lose("expired") // unless it was lost before
		return *held.lost.Load()
	}
	return err
}

// granted asks until it is granted. A daemon that is away or restarts is asked again, as long as we would wait.
func granted(ctx context.Context, name string, ttl, wait time.Duration) (*Held, error) {
	for until := time.Now().Add(wait); ; time.Sleep(200 * time.Millisecond) {
		held, err := ask(ctx, name, ttl, wait)
		refusal := new(Message)
		final := errors.Is(err, ErrNotGranted) || errors.As(err, &refusal) && refusal.Retry == "never"
		if err == nil || final || ctx.Err() != nil {
			return held, err
		} else if wait = time.Until(until); wait <= 0 {
			return nil, fmt.Errorf("%w: %s: the last trouble: %s", ErrNotGranted, name, err)
		}
	}
}

// ask makes one request and reads its stream as far as the grant.
func ask(ctx context.Context, name string, ttl, wait time.Duration) (*Held, error) {
	socket := os.Getenv("LEASE_SOCKET")
	if socket == "" {
		socket = "/run/lease/lease.sock"
	}
	waiting, told := context.WithTimeout(ctx, wait+5*time.Second) // should the daemon hang
	defer told()
	conn, err := new(net.Dialer).DialContext(waiting, "unix", socket)
	if err != nil {
		return nil, err
	}
	var keep atomic.Bool
	go func() {
		if <-waiting.Done(); !keep.Load() {
			conn.Close() // leaves the line
		}
	}()
	body := fmt.Sprintf(`{"ttl":"%dms","wait":"%dms"}`, ttl.Milliseconds(), wait.Milliseconds())
	target := "/v1/locks/" + url.PathEscape(name) + "/hold"
	fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: lease\r\nContent-Length: %d\r\n\r\n%s", target, len(body), body)
	answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return nil, err
	}
	held, m := &Held{conn: conn, messages: json.NewDecoder(answer.Body)}, &Message{}
	for err == nil && m.Code == "" && (m.Event == "" || m.Event == "waiting") {
		err = held.messages.Decode(m)
	}
	if err == nil && m.Event == "held" {
		held.Token = m.Token
		held.deadline.Store(m.Deadline)
		keep.Store(true)
		return held, nil
	} else if m.Event == "timeout" || m.Code == "held" || m.Code == "wait-elapsed" {
		return nil, fmt.Errorf("%w: %s is held by %s", ErrNotGranted, name, m.Holder.Owner)
	} else if err != nil {
		return nil, err
	}
	return nil, m
}

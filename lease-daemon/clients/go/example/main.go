// Command example NAME TTL WAIT [again] works under a lock until a line comes in; with again, takes it anew after a loss.
package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	lease "lease.example/lease"
)

func main() {
	name, ttl, wait := os.Args[1], seconds(os.Args[2]), seconds(os.Args[3])
	line := make(chan struct{})
	go func() {
		bufio.NewReader(os.Stdin).ReadString('\n')
		close(line)
	}()
	work := func(ctx context.Context, held *lease.Held) error {
		fmt.Println("held", held.Token)
		select {
		case <-line:
			return nil
		case <-ctx.Done():
			fmt.Println("stopped")
			return ctx.Err()
		}
	}
	for {
		err := lease.Do(context.Background(), name, ttl, wait, work)
		switch {
		case err == nil:
			fmt.Println("released")
			return
		case errors.Is(err, lease.ErrLost):
			fmt.Println("lost", err)
			if len(os.Args) < 5 {
				os.Exit(79)
			}
		case errors.Is(err, lease.ErrNotGranted):
			fmt.Println("not-granted", err)
			os.Exit(75)
		default:
			fmt.Println("refused", err)
			os.Exit(64)
		}
	}
}

func seconds(text string) time.Duration {
	if text == "-" {
		return 30 * 24 * time.Hour // the longest that the daemon takes
	}
	duration, err := time.ParseDuration(text + "s")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(64)
	}
	return duration
}

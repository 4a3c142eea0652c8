// Exercises what a Go runtime asks of a system: goroutines on several threads, timers, collection, preemption by signal.
package main

import (
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

func sum(n int) int {
	var total int
	var wg sync.WaitGroup
	parts := make(chan int, 16)
	for i := 0; i < n; i++ {
		wg.Add(1)
		go func(i int) {
			defer wg.Done()
			parts <- i
		}(i)
	}
	go func() { wg.Wait(); close(parts) }()
	for p := range parts {
		total += p
	}
	return total
}

func garbage() uint32 {
	var keep [][]byte
	for i := 0; i < 2000; i++ {
		b := make([]byte, 10000)
		b[0] = byte(i)
		if i%100 == 0 {
			keep = append(keep, b)
		}
	}
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	for i, b := range keep {
		if b[0] != byte(i*100) {
			panic("collected what was in use")
		}
	}
	return m.NumGC
}

// A loop without calls can only be stopped by a signal.
func preempt() bool {
	runtime.GOMAXPROCS(1)
	var stop atomic.Bool
	var spins int
	go func() {
		time.Sleep(5 * time.Millisecond)
		stop.Store(true)
	}()
	for !stop.Load() {
		for i := 0; i < 1000; i++ {
			spins += i & 1
		}
	}
	runtime.GOMAXPROCS(runtime.NumCPU())
	return spins > 0
}

func fault() (message string) {
	defer func() { message = fmt.Sprint(recover()) }()
	var p *int
	return fmt.Sprint(*p)
}

func signalled() os.Signal {
	c := make(chan os.Signal, 1)
	signal.Notify(c, syscall.SIGUSR1)
	syscall.Kill(os.Getpid(), syscall.SIGUSR1)
	return <-c
}

func main() {
	fmt.Println("hello from go,", sum(1000))
	begun := time.Now()
	<-time.After(30 * time.Millisecond)
	fmt.Println("timer:", time.Since(begun) >= 30*time.Millisecond)
	fmt.Println("collected:", garbage() > 0)
	fmt.Println("preempted:", preempt())
	fmt.Println("fault:", fault())
	fmt.Println("signal:", signalled())
	if err := os.WriteFile("/tmp/x", []byte("written"), 0o600); err != nil {
		fmt.Println(err)
	}
	data, err := os.ReadFile("/tmp/x")
	fmt.Println("file:", string(data), err)
	os.Exit(3)
}

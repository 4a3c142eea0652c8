// An ordinary Go program that looks names up with Go's own resolver and asks one by HTTP: linux_names NAME... URL
package main

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"os"
	"time"
)

func main() {
	names := os.Args[1 : len(os.Args)-1]
	for _, name := range names {
		found, err := net.LookupHost(name)
		if err != nil {
			fmt.Println(name, "failed")
			continue
		}
		fmt.Println(name, found[0])
	}
	client := http.Client{Timeout: 20 * time.Second}
	answer, err := client.Get(os.Args[len(os.Args)-1])
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	answer.Body.Close()
	fmt.Println(answer.Proto, answer.Status)

	// A server and a client of its own, over the loopback.
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	go func() {
		for {
			connection, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				line, _ := bufio.NewReader(connection).ReadString('\n')
				fmt.Fprint(connection, line)
				connection.Close()
			}()
		}
	}()
	done := make(chan string)
	for i := range 100 {
		go func() {
			connection, err := net.DialTimeout("tcp", listener.Addr().String(), 20*time.Second)
			if err != nil {
				done <- err.Error()
				return
			}
			defer connection.Close()
			fmt.Fprintf(connection, "%d\n", i)
			line, _ := bufio.NewReader(connection).ReadString('\n')
			if line != fmt.Sprintf("%d\n", i) {
				done <- "wrong line " + line
				return
			}
			done <- ""
		}()
	}
	for range 100 {
		if failure := <-done; failure != "" {
			fmt.Println(failure)
			os.Exit(1)
		}
	}
	connection, err := net.DialTimeout("tcp", listener.Addr().String(), 20*time.Second)
	if err == nil {
		connection.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
		_, err = connection.Read(make([]byte, 1))
	}
	fmt.Println("100 connections, then", err != nil && err.(net.Error).Timeout())
}

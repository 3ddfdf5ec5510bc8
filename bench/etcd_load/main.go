// Closed-loop puts on etcd over its native gRPC: the peer that state commits are measured beside.
//
// usage: etcd_load -endpoints URL,URL -c CLIENTS -t SECONDS
//
// All clients put 128-byte values under one of 100,000 keys through the leader, over at most 16
// connections. Prints one JSON object with the same keys as http_load.
package main

import (
	"context"
	"flag"
	"fmt"
	"math/rand"
	"os"
	"sort"
	"strings"
	"sync"
	"time"

	"go.etcd.io/etcd/clientv3"
)

const (
	keys           = 100000
	connectionsMax = 16
)

func fail(err error) {
	fmt.Fprintln(os.Stderr, "etcd_load:", err)
	os.Exit(1)
}

func connect(endpoints []string) *clientv3.Client {
	client, err := clientv3.New(clientv3.Config{Endpoints: endpoints, DialTimeout: 3 * time.Second})
	if err != nil {
		fail(err)
	}
	return client
}

func leaderOf(endpoints []string) string {
	client := connect(endpoints)
	defer client.Close()
	for _, endpoint := range endpoints {
		status, err := client.Status(context.Background(), endpoint)
		if err == nil && status.Leader == status.Header.MemberId {
			return endpoint
		}
	}
	return endpoints[0]
}

type outcome struct {
	latenciesUs []int64
	errors      int
}

func put(client *clientv3.Client, seed int64, bytes int, end time.Time) outcome {
	var out outcome
	random := rand.New(rand.NewSource(seed))
	value := strings.Repeat("x", bytes)
	for time.Now().Before(end) {
		begin := time.Now()
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		_, err := client.Put(ctx, fmt.Sprintf("k%07d", random.Intn(keys)), value)
		cancel()
		if err != nil {
			out.errors++
		} else {
			out.latenciesUs = append(out.latenciesUs, time.Since(begin).Microseconds())
		}
	}
	return out
}

func main() {
	list := flag.String("endpoints", "", "client URLs, comma-separated")
	clients := flag.Int("c", 1, "clients, each with one put in flight")
	bytes := flag.Int("b", 128, "bytes of a value")
	seconds := flag.Float64("t", 3, "how long")
	flag.Parse()
	leader := leaderOf(strings.Split(*list, ","))
	var connections []*clientv3.Client
	for i := 0; i < *clients && i < connectionsMax; i++ {
		connections = append(connections, connect([]string{leader}))
	}
	outcomes := make([]outcome, *clients)
	var group sync.WaitGroup
	begin := time.Now()
	end := begin.Add(time.Duration(*seconds * float64(time.Second)))
	for i := range outcomes {
		group.Add(1)
		go func(i int) {
			defer group.Done()
			outcomes[i] = put(connections[i%len(connections)], int64(i), *bytes, end)
		}(i)
	}
	group.Wait()
	elapsed := time.Since(begin).Seconds()
	var all []int64
	errors := 0
	for _, out := range outcomes {
		all = append(all, out.latenciesUs...)
		errors += out.errors
	}
	if len(all) == 0 {
		fail(fmt.Errorf("no put succeeded, %d failed", errors))
	}
	sort.Slice(all, func(a, b int) bool { return all[a] < all[b] })
	fmt.Printf("{\"connections\":%d,\"requests\":%d,\"errors\":%d,\"per_s\":%.0f,\"p50_us\":%d,\"p99_us\":%d,\"max_us\":%d}\n",
		*clients, len(all), errors, float64(len(all))/elapsed, all[len(all)/2], all[len(all)*99/100], all[len(all)-1])
}

// Command shop is a gRPC server and its client for the example: the server has
// the standard services for health and reflection, of which one asks and one
// answers in streams.
package main

import (
	"context"
	"fmt"
	"log"
	"net"
	"os"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/reflection"
	"google.golang.org/grpc/status"
)

func main() {
	log.SetFlags(0)
	var err error
	switch args := os.Args[1:]; {
	case len(args) == 2 && args[0] == "serve":
		err = serve(args[1])
	case len(args) == 3 && args[0] == "check":
		err = check(args[1], args[2])
	case len(args) == 3 && args[0] == "watch":
		err = watch(args[1], args[2])
	default:
		log.Fatal("usage: shop serve PORT | shop check ADDRESS SERVICE | shop watch ADDRESS SERVICE")
	}
	if err != nil {
		s := status.Convert(err)
		fmt.Printf("%v: %s\n", s.Code(), s.Message())
	}
}

func serve(port string) error {
	l, err := new(net.ListenConfig).Listen(context.Background(), "tcp", "127.0.0.1:"+port)
	if err != nil {
		return err
	}
	services := health.NewServer()
	services.SetServingStatus("shop", healthpb.HealthCheckResponse_SERVING)
	s := grpc.NewServer()
	healthpb.RegisterHealthServer(s, services)
	reflection.Register(s)
	return s.Serve(l)
}

// check asks once.
func check(address, service string) error {
	client, err := dial(address)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	r, err := client.Check(ctx, &healthpb.HealthCheckRequest{Service: service})
	if err != nil {
		return err
	}
	fmt.Println(r.Status)
	return nil
}

// watch prints what comes until the stream ends.
func watch(address, service string) error {
	client, err := dial(address)
	if err != nil {
		return err
	}
	stream, err := client.Watch(context.Background(), &healthpb.HealthCheckRequest{Service: service})
	if err != nil {
		return err
	}
	for {
		r, err := stream.Recv()
		if err != nil {
			return err
		}
		fmt.Println(r.Status)
	}
}

func dial(address string) (healthpb.HealthClient, error) {
	cc, err := grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	return healthpb.NewHealthClient(cc), err
}

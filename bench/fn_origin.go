// What functions are measured against: os/exec as a plain host does it. Marshals the request, runs the program with
// buffers, unmarshals the answer. `fn_origin PROGRAM COUNT PARALLEL BYTES` prints microseconds of each call; with
// `serve` instead of a count it answers POST on a free port, whose number it prints: a stand-in for a serializing HTTP
// front that forks for each request. FN_ARGUMENTS and FN_FOLDER are further words of the program and where it runs.
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"time"
)

type answer struct {
	Success bool `json:"success"`
	Output  any  `json:"output"`
}

func call(program string, input any) error {
	request, err := json.Marshal(map[string]any{"request_id": "0197a3c2-6f0e-7c31-9d53-0a4f6a1be2d4", "function_name": "echo", "input": input,
		"context": map[string]any{"auth": nil, "env": map[string]string{}, "alyx_url": "http://localhost:8080", "internal_token": strings.Repeat("0", 64)}})
	if err != nil {
		return err
	}
	command := exec.Command(program, strings.Fields(os.Getenv("FN_ARGUMENTS"))...)
	command.Dir = os.Getenv("FN_FOLDER")
	command.Stdin = bytes.NewReader(request)
	var out, errors bytes.Buffer
	command.Stdout, command.Stderr = &out, &errors
	if err := command.Run(); err != nil {
		return err
	}
	var read answer
	if err := json.Unmarshal(out.Bytes(), &read); err != nil {
		return err
	}
	if !read.Success {
		return fmt.Errorf("no success")
	}
	return nil
}

func main() {
	program := os.Args[1]
	if os.Args[2] == "serve" {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			panic(err)
		}
		fmt.Println(listener.Addr().(*net.TCPAddr).Port)
		http.Serve(listener, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			command := exec.Command(program)
			command.Stdin = bytes.NewReader(body)
			out, err := command.Output()
			if err != nil {
				w.WriteHeader(500)
			}
			w.Header().Set("Content-Type", "application/json")
			w.Write(out)
		}))
		return
	}
	count, _ := strconv.Atoi(os.Args[2])
	parallel, _ := strconv.Atoi(os.Args[3])
	size, _ := strconv.Atoi(os.Args[4])
	input := map[string]any{"text": strings.Repeat("y", size)}
	var wait sync.WaitGroup
	var lock sync.Mutex
	times := []int64{}
	begin := time.Now()
	for worker := 0; worker < parallel; worker++ {
		wait.Add(1)
		go func() {
			defer wait.Done()
			for i := worker; i < count; i += parallel {
				start := time.Now()
				if err := call(program, input); err != nil {
					panic(err)
				}
				lock.Lock()
				times = append(times, time.Since(start).Microseconds())
				lock.Unlock()
			}
		}()
	}
	wait.Wait()
	fmt.Println(time.Since(begin).Microseconds())
	for _, one := range times {
		fmt.Println(one)
	}
}

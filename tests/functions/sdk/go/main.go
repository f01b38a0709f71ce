package main

import (
	"errors"
	"fmt"
	"math"
	"os"
	"strings"
	"syscall"
	"time"

	"probe/berthfn"
)

type input struct {
	Do    string `json:"do"`
	Value any    `json:"value"`
}

func handler(c *berthfn.Context, in input) (any, error) {
	switch in.Do {
	case "echo":
		return in.Value, nil
	case "missing":
		return nil, nil
	case "fail":
		return nil, berthfn.NewError("CONFLICT", "it is taken", map[string]any{"a": 1})
	case "throw":
		return nil, errors.New("unexpected")
	case "print":
		fmt.Println("printed text")
		syscall.Write(1, []byte("raw text\n"))
		return "printed", nil
	case "big":
		return strings.Repeat("x", 1<<20), nil
	case "nan":
		return map[string]float64{"a": math.NaN()}, nil
	case "cycle":
		type loop struct{ A *loop }
		a := &loop{}
		a.A = a
		return a, nil
	case "log":
		c.Log.Debug("d")
		c.Log.Info("i", map[string]any{"k": 1})
		c.Log.Warn("w")
		c.Log.Error("e")
		return nil, nil
	case "context":
		return map[string]any{"auth": c.Auth, "env": c.Env, "name": c.FunctionName, "id": len(c.RequestID), "deadline": c.DeadlineMs > 0, "url": strings.HasPrefix(c.Alyx.URL, "http://"), "token": len(c.Alyx.Token)}, nil
	case "invoke":
		return c.Alyx.Invoke(c, "echo", map[string]any{"x": 1})
	case "invoke-fails":
		return c.Alyx.Invoke(c, "refuses", nil)
	case "async":
		done := make(chan string)
		go func() { time.Sleep(time.Millisecond); done <- "later" }()
		return <-done, nil
	case "term":
		fmt.Println("waits for the end")
		<-c.Done()
		fmt.Println("saw the end")
		return nil, nil
	case "valid":
		return "valid", nil
	}
	return nil, berthfn.NewError("BAD_REQUEST", "unknown", nil)
}

func main() {
	var chosen berthfn.Schema
	if os.Getenv("WITH_SCHEMA") != "" {
		chosen = schema
	}
	berthfn.RunWith(chosen, handler)
}

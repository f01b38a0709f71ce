// A function in plain Go: one JSON request on standard input, one JSON answer on standard output.
package main

import (
	"encoding/json"
	"os"
)

func main() {
	var request struct {
		Input struct {
			Name *string `json:"name"`
		} `json:"input"`
	}
	if err := json.NewDecoder(os.Stdin).Decode(&request); err != nil {
		panic(err)
	}
	name := "World"
	if request.Input.Name != nil {
		name = *request.Input.Name
	}
	json.NewEncoder(os.Stdout).Encode(map[string]any{"success": true, "output": map[string]any{"message": "Hello, " + name + "!"}})
}

// Reads a JSON object on standard input and answers with one on standard output: {"name":"Ada"} -> {"greeting":"Hello, Ada!"}.
package main

import (
	"encoding/json"
	"fmt"
	"os"
)

func main() {
	input := struct {
		Name string `json:"name"`
	}{Name: "World"}
	if err := json.NewDecoder(os.Stdin).Decode(&input); err != nil {
		fmt.Fprintln(os.Stderr, "the input is no JSON object:", err)
		os.Exit(1)
	}
	json.NewEncoder(os.Stdout).Encode(map[string]string{"greeting": "Hello, " + input.Name + "!"})
}

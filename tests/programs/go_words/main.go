// Sorting, maps, JSON and text of a real runtime; prints what depends only on the program.
package main

import (
	"encoding/json"
	"fmt"
	"math/rand"
	"sort"
)

type record struct {
	Name   string
	Weight int
	Values []float64
}

func main() {
	source := rand.New(rand.NewSource(1))
	var records []record
	for i := 0; i < 300; i++ {
		made := record{Name: fmt.Sprint("p", source.Intn(1000)), Weight: source.Intn(1000)}
		for k := 0; k < 10; k++ {
			made.Values = append(made.Values, source.Float64())
		}
		records = append(records, made)
	}
	text, _ := json.Marshal(records)
	var again []record
	if err := json.Unmarshal(text, &again); err != nil {
		panic(err)
	}
	sort.Slice(again, func(i, j int) bool { return again[i].Weight < again[j].Weight })
	byName := map[string]int{}
	for _, one := range again {
		byName[one.Name] += one.Weight
	}
	fmt.Println(len(text), len(byName), again[0].Weight, again[299].Weight)
}

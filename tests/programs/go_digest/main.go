// Compression, hashing, regular expressions and large numbers, some of it on goroutines.
package main

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"fmt"
	"io"
	"math/big"
	"regexp"
	"strings"
	"sync"
)

func main() {
	var text strings.Builder
	for i := 0; i < 4000; i++ {
		fmt.Fprintf(&text, "line %d: value=%d;\n", i, i*i%997)
	}
	var packed bytes.Buffer
	writer := gzip.NewWriter(&packed)
	io.WriteString(writer, text.String())
	writer.Close()
	reader, err := gzip.NewReader(&packed)
	if err != nil {
		panic(err)
	}
	again, err := io.ReadAll(reader)
	if err != nil {
		panic(err)
	}
	matches := regexp.MustCompile(`value=(\d*7);`).FindAllSubmatch(again, -1)

	var group sync.WaitGroup
	products := make([]*big.Int, 8)
	for i := range products {
		group.Add(1)
		go func() {
			defer group.Done()
			products[i] = new(big.Int).MulRange(1, int64(50*(i+1)))
		}()
	}
	group.Wait()
	sum := new(big.Int)
	for _, product := range products {
		sum.Add(sum, product)
	}
	digest := sha256.Sum256(again)
	fmt.Printf("%d %d %x %d\n", len(again), len(matches), digest[:4], sum.BitLen())
}

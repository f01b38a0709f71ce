package main

import "@NAME@/berthfn"

type input struct {
	Name *string `json:"name"`
}

type output struct {
	Message string `json:"message"`
	Runtime string `json:"runtime"`
}

func hello(c *berthfn.Context, in input) (output, error) {
	name := "World"
	if in.Name != nil {
		name = *in.Name
	}
	c.Log.Info("greeting", map[string]any{"name": name})
	if name == "nobody" {
		return output{}, berthfn.NewError("VALIDATION_ERROR", "nobody cannot be greeted", map[string]any{"field": "name"})
	}
	return output{"Hello, " + name + "!", "go"}, nil
}

func main() {
	berthfn.RunWith(berthfn.Schema{{Name: "name", Type: "string", MaxLength: berthfn.Of(80)}}, hello)
}

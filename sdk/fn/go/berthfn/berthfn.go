// Package berthfn makes Berth functions of Go handlers: one file, no dependencies. Copy the folder beside your main.go.
//
//	func main() {
//		berthfn.Run(func(c *berthfn.Context, in Input) (Output, error) { ... })
//	}
//
// Whatever your code prints goes to standard error, also what libraries write to descriptor 1; the answer alone goes to
// standard output.
package berthfn

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/url"
	"os"
	"os/signal"
	"reflect"
	"regexp"
	"runtime/debug"
	"strconv"
	"syscall"
	"time"
	"unicode/utf8"
)

// Error is an error with a code that callers see.
type Error struct {
	Code    string
	Message string
	Details map[string]any
}

func (e *Error) Error() string { return e.Message }

// NewError makes an Error.
func NewError(code, message string, details map[string]any) *Error {
	return &Error{code, message, details}
}

// Auth is who calls.
type Auth struct {
	ID       string         `json:"id"`
	Email    string         `json:"email"`
	Verified bool           `json:"verified"`
	Role     string         `json:"role"`
	Metadata map[string]any `json:"metadata"`
}

type entry struct {
	Level     string         `json:"level"`
	Message   string         `json:"message"`
	Data      map[string]any `json:"data,omitempty"`
	Timestamp string         `json:"timestamp"`
}

// Log collects what the function has to say.
type Log struct{ entries []entry }

func (l *Log) add(level, message string, data []map[string]any) {
	made := entry{Level: level, Message: message, Timestamp: time.Now().UTC().Format(time.RFC3339Nano)}
	if len(data) > 0 {
		made.Data = data[0]
	}
	l.entries = append(l.entries, made)
}

func (l *Log) Debug(message string, data ...map[string]any) { l.add("debug", message, data) }
func (l *Log) Info(message string, data ...map[string]any)  { l.add("info", message, data) }
func (l *Log) Warn(message string, data ...map[string]any)  { l.add("warn", message, data) }
func (l *Log) Error(message string, data ...map[string]any) { l.add("error", message, data) }

// Alyx reaches the host that runs the function.
type Alyx struct {
	URL   string
	Token string
}

// Fetch asks the internal API.
func (a *Alyx) Fetch(ctx context.Context, method, path string, body any) (int, []byte, error) {
	var reader io.Reader
	if body != nil {
		text, err := json.Marshal(body)
		if err != nil {
			return 0, nil, err
		}
		reader = bytes.NewReader(text)
	}
	request, err := http.NewRequestWithContext(ctx, method, a.URL+path, reader)
	if err != nil {
		return 0, nil, err
	}
	request.Header.Set("Authorization", "Bearer "+a.Token)
	request.Header.Set("Content-Type", "application/json")
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, nil, err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	return answer.StatusCode, text, err
}

// Invoke gives the output of another function, or its error.
func (a *Alyx) Invoke(ctx context.Context, name string, input any) (json.RawMessage, error) {
	if input == nil {
		input = map[string]any{}
	}
	_, text, err := a.Fetch(ctx, "POST", "/internal/v1/invoke/"+url.PathEscape(name), input)
	if err != nil {
		return nil, err
	}
	var answer struct {
		Success bool            `json:"success"`
		Output  json.RawMessage `json:"output"`
		Error   *struct {
			Code    string         `json:"code"`
			Message string         `json:"message"`
			Details map[string]any `json:"details"`
		} `json:"error"`
	}
	if err := json.Unmarshal(text, &answer); err != nil {
		return nil, err
	}
	if answer.Success {
		return answer.Output, nil
	}
	if answer.Error == nil {
		return nil, &Error{Code: "FUNCTION_ERROR", Message: "the function failed"}
	}
	return nil, &Error{answer.Error.Code, answer.Error.Message, answer.Error.Details}
}

// Context is what a handler knows of its call; Done is closed when the call is being ended.
type Context struct {
	context.Context
	Auth         *Auth
	Env          map[string]string
	RequestID    string
	FunctionName string
	DeadlineMs   int64
	Log          *Log
	Alyx         *Alyx
}

// NewContext makes one up, for tests.
func NewContext() *Context {
	return &Context{Context: context.Background(), Env: map[string]string{}, Log: &Log{}, Alyx: &Alyx{}}
}

// Field is what one member of the input has to be; fields are checked in their order.
type Field struct {
	Name      string
	Type      string
	Required  bool
	Optional  bool
	MinLength *int
	MaxLength *int
	Min       *float64
	Max       *float64
	Pattern   string
	Enum      []any
	Items     *Field
}

// Schema is what an input has to be.
type Schema []Field

// Of gives the address of a value, for bounds.
func Of[T any](value T) *T { return &value }

func typeOf(value any) string {
	switch one := value.(type) {
	case nil:
		return "null"
	case bool:
		return "boolean"
	case string:
		return "string"
	case []any:
		return "array"
	case json.Number:
		number, err := one.Float64()
		if err == nil && number == math.Trunc(number) {
			return "integer"
		}
		return "number"
	}
	return "object"
}

func violation(field, rule string, expected, got any) *Error {
	a, _ := json.Marshal(expected)
	b, _ := json.Marshal(got)
	return &Error{"VALIDATION_ERROR", fmt.Sprintf("%s: %s: expected %s, got %s", field, rule, a, b),
		map[string]any{"field": field, "rule": rule, "expected": expected, "got": got}}
}

func check(name string, value any, rules *Field) *Error {
	kind := typeOf(value)
	if rules.Type != "" && kind != rules.Type && !(rules.Type == "number" && kind == "integer") {
		return violation(name, "type", rules.Type, kind)
	}
	if rules.Enum != nil {
		own, _ := json.Marshal(value)
		found := false
		for _, one := range rules.Enum {
			text, _ := json.Marshal(one)
			found = found || bytes.Equal(own, text)
		}
		if !found {
			return violation(name, "enum", rules.Enum, value)
		}
	}
	if text, ok := value.(string); ok {
		length := utf8.RuneCountInString(text)
		if rules.MinLength != nil && length < *rules.MinLength {
			return violation(name, "minLength", *rules.MinLength, length)
		}
		if rules.MaxLength != nil && length > *rules.MaxLength {
			return violation(name, "maxLength", *rules.MaxLength, length)
		}
		if rules.Pattern != "" && !regexp.MustCompile(rules.Pattern).MatchString(text) {
			return violation(name, "pattern", rules.Pattern, text)
		}
	}
	if number, ok := value.(json.Number); ok {
		read, _ := number.Float64()
		if rules.Min != nil && read < *rules.Min {
			return violation(name, "min", *rules.Min, value)
		}
		if rules.Max != nil && read > *rules.Max {
			return violation(name, "max", *rules.Max, value)
		}
	}
	if list, ok := value.([]any); ok && rules.Items != nil {
		for i, item := range list {
			if err := check(fmt.Sprintf("%s[%d]", name, i), item, rules.Items); err != nil {
				return err
			}
		}
	}
	return nil
}

// Validate gives the first violation of the schema in an input, or nil.
func Validate(input map[string]any, schema Schema) *Error {
	for i := range schema {
		field := &schema[i]
		value, there := input[field.Name]
		if !there || value == nil {
			if field.Required && !field.Optional {
				return violation(field.Name, "required", true, nil)
			}
			continue
		}
		if err := check(field.Name, value, field); err != nil {
			return err
		}
	}
	return nil
}

// Run answers the request with what the handler returns, and ends the process.
func Run[In, Out any](handler func(*Context, In) (Out, error)) { RunWith(nil, handler) }

// RunWith checks the input first. It does nothing when ALYX_FUNCTION_NAME is not set, as in a test.
func RunWith[In, Out any](schema Schema, handler func(*Context, In) (Out, error)) {
	if os.Getenv("ALYX_FUNCTION_NAME") == "" {
		return
	}
	answerTo, err := syscall.Dup(1)
	if err != nil {
		fmt.Fprintln(os.Stderr, "standard output cannot be kept:", err)
		os.Exit(1)
	}
	syscall.CloseOnExec(answerTo)
	if err := dup2(2, 1); err != nil {
		fmt.Fprintln(os.Stderr, "standard output cannot be kept clean:", err)
		os.Exit(1)
	}
	requestID, log := "unknown", &Log{}
	output, failure := serve(schema, handler, &requestID, log)
	logs, err := json.Marshal(log.entries)
	if err != nil || log.entries == nil {
		logs = []byte("[]")
	}
	id, _ := json.Marshal(requestID)
	var answer []byte
	if failure == nil {
		answer = []byte(fmt.Sprintf(`{"request_id":%s,"success":true,"output":%s,"logs":%s}`, id, output, logs))
	} else {
		shown := map[string]any{"code": failure.Code, "message": failure.Message}
		if failure.Details != nil {
			shown["details"] = failure.Details
		}
		text, err := json.Marshal(shown)
		if err != nil {
			text, _ = json.Marshal(map[string]any{"code": failure.Code, "message": failure.Message})
		}
		answer = []byte(fmt.Sprintf(`{"request_id":%s,"success":false,"error":%s,"logs":%s}`, id, text, logs))
	}
	for len(answer) > 0 {
		written, err := syscall.Write(answerTo, answer)
		if err == syscall.EINTR || err == syscall.EAGAIN {
			time.Sleep(time.Millisecond)
			continue
		}
		if err != nil {
			os.Exit(1)
		}
		answer = answer[written:]
	}
	os.Exit(0)
}

func serve[In, Out any](schema Schema, handler func(*Context, In) (Out, error), requestID *string, log *Log) (output []byte, failure *Error) {
	defer func() {
		if reason := recover(); reason != nil {
			fmt.Fprintf(os.Stderr, "panic: %v\n%s", reason, debug.Stack())
			failure = &Error{Code: "FUNCTION_ERROR", Message: fmt.Sprint(reason)}
		}
	}()
	failed := func(err error) (any, *Error) { return nil, &Error{Code: "FUNCTION_ERROR", Message: err.Error()} }
	text, err := io.ReadAll(os.Stdin)
	if err != nil {
		_, failure = failed(err)
		return
	}
	var request struct {
		RequestID    string          `json:"request_id"`
		FunctionName string          `json:"function_name"`
		Input        json.RawMessage `json:"input"`
		Context      struct {
			Auth     *Auth             `json:"auth"`
			Env      map[string]string `json:"env"`
			URL      string            `json:"alyx_url"`
			Token    string            `json:"internal_token"`
			Deadline int64             `json:"deadline_ms"`
		} `json:"context"`
	}
	if err := json.Unmarshal(text, &request); err != nil {
		_, failure = failed(err)
		return
	}
	*requestID = request.RequestID
	if schema != nil {
		var input map[string]any
		decoder := json.NewDecoder(bytes.NewReader(request.Input))
		decoder.UseNumber()
		if err := decoder.Decode(&input); err != nil {
			_, failure = failed(err)
			return
		}
		if failure = Validate(input, schema); failure != nil {
			return
		}
	}
	stop, done := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer done()
	deadline := request.Context.Deadline
	if deadline == 0 {
		deadline, _ = strconv.ParseInt(os.Getenv("ALYX_DEADLINE_MS"), 10, 64)
	}
	c := &Context{stop, request.Context.Auth, request.Context.Env, request.RequestID, request.FunctionName, deadline, log, &Alyx{request.Context.URL, request.Context.Token}}
	var input In
	if err := json.Unmarshal(request.Input, &input); err != nil {
		failure = &Error{Code: "VALIDATION_ERROR", Message: err.Error()}
		return
	}
	result, err := handler(c, input)
	if err != nil {
		var own *Error
		if errors.As(err, &own) {
			return nil, own
		}
		fmt.Fprintln(os.Stderr, err)
		_, failure = failed(err)
		return
	}
	var buffer bytes.Buffer
	encoder := json.NewEncoder(&buffer)
	encoder.SetEscapeHTML(false)
	if value := reflect.ValueOf(result); value.IsValid() {
		if err := encoder.Encode(result); err != nil {
			return nil, &Error{Code: "FUNCTION_ERROR", Message: "result is not JSON"}
		}
		return bytes.TrimRight(buffer.Bytes(), "\n"), nil
	}
	return []byte("null"), nil
}

// Renders templates as Ollama does: its values, its functions and its options, written from Ollama's docs/template.md and
// template/template.go. Reads one JSON object with "Template" and "Asked" (a list), writes a list of texts.
package main

import (
	"bytes"
	"encoding/json"
	"os"
	"strings"
	"text/template"
)

type propertyType []string

func (kinds *propertyType) UnmarshalJSON(data []byte) error {
	var one string
	if json.Unmarshal(data, &one) == nil {
		*kinds = []string{one}
		return nil
	}
	return json.Unmarshal(data, (*[]string)(kinds))
}

func (kinds propertyType) MarshalJSON() ([]byte, error) {
	if len(kinds) == 1 {
		return json.Marshal(kinds[0])
	}
	return json.Marshal([]string(kinds))
}

type property struct {
	Type        propertyType `json:"type,omitempty"`
	Items       any          `json:"items,omitempty"`
	Description string       `json:"description,omitempty"`
	Enum        []any        `json:"enum,omitempty"`
}

type tool struct {
	Type     string `json:"type"`
	Function struct {
		Name        string `json:"name"`
		Description string `json:"description"`
		Parameters  struct {
			Type       string              `json:"type"`
			Required   []string            `json:"required,omitempty"`
			Properties map[string]property `json:"properties"`
		} `json:"parameters"`
	} `json:"function"`
}

type call struct {
	Function struct {
		Name      string         `json:"name"`
		Arguments map[string]any `json:"arguments"`
	} `json:"function"`
}

type message struct {
	Role      string `json:"role"`
	Content   string `json:"content"`
	Thinking  string `json:"thinking"`
	ToolCalls []call `json:"tool_calls"`
}

type asked struct {
	Messages   []*message
	Tools      []tool
	Think      bool
	IsThinkSet bool
}

func main() {
	var given struct {
		Template string
		Asked    []asked
	}
	check(json.NewDecoder(os.Stdin).Decode(&given))
	told := func(value any) string { text, _ := json.Marshal(value); return string(text) }
	parsed, err := template.New("").Option("missingkey=zero").Funcs(template.FuncMap{"json": told}).Parse(given.Template)
	check(err)
	texts := []string{}
	for _, one := range given.Asked {
		var system []string
		for _, message := range one.Messages {
			if message.Role == "system" {
				system = append(system, message.Content)
			}
		}
		var text bytes.Buffer
		check(parsed.Execute(&text, map[string]any{
			"System": strings.Join(system, "\n\n"), "Messages": one.Messages, "Tools": one.Tools, "Response": "",
			"Think": one.Think, "IsThinkSet": one.IsThinkSet,
		}))
		texts = append(texts, text.String())
	}
	check(json.NewEncoder(os.Stdout).Encode(texts))
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}

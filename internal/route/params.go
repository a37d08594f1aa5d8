package route

// Params are the values of a matched route's wildcards, unescaped. The zero
// value is ready to use, and may be used again; up to four wildcards take no
// memory of their own.
type Params struct {
	names []string
	few   [4]string
	more  []string
	len   int
}

// Len is how many there are.
func (p *Params) Len() int { return len(p.names) }

// At is the name and the value of the i-th wildcard.
func (p *Params) At(i int) (name, value string) {
	if i < len(p.few) {
		return p.names[i], p.few[i]
	}
	return p.names[i], p.more[i-len(p.few)]
}

// Get is the value of the wildcard called name, "" if there is none.
func (p *Params) Get(name string) string {
	for i, n := range p.names {
		if n == name {
			_, v := p.At(i)
			return v
		}
	}
	return ""
}

func (p *Params) reset(names []string) {
	p.names, p.len = names, 0
}

func (p *Params) push(value string) {
	if p.len < len(p.few) {
		p.few[p.len] = value
	} else {
		p.more = append(p.more[:p.len-len(p.few)], value)
	}
	p.len++
}

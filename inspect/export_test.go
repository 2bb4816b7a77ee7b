package inspect

// Endpoints lists the methods and paths that the handler answers besides the page.
func Endpoints() (list []string) {
	for _, e := range endpoints {
		list = append(list, e.pattern)
	}
	return list
}

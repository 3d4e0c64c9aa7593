package main

// #cgo LDFLAGS: -L${SRCDIR} -ldep
// extern int dep_value(int);
import "C"
import "fmt"

//export probe
func probe() C.int {
	values := map[string]int{"a": 40}
	return C.int(values["a"]) + C.dep_value(1)
}

func main() { fmt.Println("probe", probe()) }

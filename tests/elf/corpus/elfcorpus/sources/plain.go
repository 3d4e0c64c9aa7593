package main

import "fmt"

func main() { fmt.Println("probe 42") }

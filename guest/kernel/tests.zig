test "nothing" {}

fn main() {
    for c in redshift_link::api::crds() {
        println!("{}", c.yaml);
    }
}

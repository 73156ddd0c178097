// The list of leads.

async function startLeads() {
  const leads = await readBlock("leads");
  const body = document.querySelector("#leads tbody");
  if (!leads || !body) return;
  const show = () => {
    const text = document.getElementById("search").value.toLowerCase();
    const rows = [];
    for (let i = 0; i < leads.entity_id.length && rows.length < 50; i++) {
      if (!leads.entity_id[i].toLowerCase().includes(text)) continue;
      const row = document.createElement("tr");
      for (const value of [leads.entity_id[i], leads.grade[i], leads.score[i], leads.probability[i].toFixed(3), leads.reason_1[i] || ""]) {
        const cell = document.createElement("td");
        cell.textContent = value;
        row.append(cell);
      }
      rows.push(row);
    }
    body.replaceChildren(...rows);
  };
  document.getElementById("search").addEventListener("input", show);
  show();
}

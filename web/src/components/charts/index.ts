import "./charts.css";

export { ChartCard, type TableData } from "./ChartCard";
export { HeatMap, rowText } from "./HeatMap";
export { heatRows } from "./heat";
export { ChartGroup } from "./hover";
export type { ChartData, Series } from "./model";
export { ShareBar, type Share } from "./ShareBar";
export { Sparkline } from "./Sparkline";
export { TimeChart } from "./TimeChart";
export { MiniTimeline, Timeline } from "./Timeline";
export { layOut } from "./phases";
export { TimeChartCard } from "./TimeChartCard";
